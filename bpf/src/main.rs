//! The kernel programs of the eBPF Traffic Manager, attached to a cgroup v2 and so run inside the
//! system calls of every process below it.
//!
//! Each program reads the context, asks `etm-decide`, writes the context and counts. What is not a
//! Service passes untouched.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch, core_intrinsics)]
#![allow(
    internal_features,
    reason = "compare-and-swap exists for this target only as an intrinsic"
)]

mod affinity;
mod attention;
mod balance;
mod call;
mod caller_cache;
mod callers;
mod choices;
mod connections;
mod context;
mod ejection;
mod flows;
mod frontends;
mod maps;
mod mptcp;
mod observed;
mod outcomes;
mod random;
mod record;
mod replies;
mod report;
mod retransmits;
mod route;
mod settings;
mod shun;
mod socket;
mod tables;
mod tally;
mod udp;

use aya_ebpf::{
    macros::{cgroup_sock, cgroup_sock_addr, raw_tracepoint, sock_ops},
    programs::{RawTracePointContext, SockAddrContext, SockContext, SockOpsContext},
};

use crate::context::{Caller, V4, V6};

#[cgroup_sock_addr(connect4)]
fn connect4(ctx: SockAddrContext) -> i32 {
    call::connect(&Caller::<V4>::new(ctx))
}

#[cgroup_sock_addr(connect6)]
fn connect6(ctx: SockAddrContext) -> i32 {
    call::connect(&Caller::<V6>::new(ctx))
}

#[cgroup_sock_addr(sendmsg4)]
fn sendmsg4(ctx: SockAddrContext) -> i32 {
    udp::send(&Caller::<V4>::new(ctx))
}

#[cgroup_sock_addr(sendmsg6)]
fn sendmsg6(ctx: SockAddrContext) -> i32 {
    udp::send(&Caller::<V6>::new(ctx))
}

#[cgroup_sock_addr(recvmsg4)]
fn recvmsg4(ctx: SockAddrContext) -> i32 {
    udp::receive(&Caller::<V4>::new(ctx))
}

#[cgroup_sock_addr(recvmsg6)]
fn recvmsg6(ctx: SockAddrContext) -> i32 {
    udp::receive(&Caller::<V6>::new(ctx))
}

#[cgroup_sock_addr(getpeername4)]
fn getpeername4(ctx: SockAddrContext) -> i32 {
    call::peer(&Caller::<V4>::new(ctx))
}

#[cgroup_sock_addr(getpeername6)]
fn getpeername6(ctx: SockAddrContext) -> i32 {
    call::peer(&Caller::<V6>::new(ctx))
}

#[cgroup_sock(sock_release)]
fn sock_release(ctx: SockContext) -> i32 {
    flows::release(&ctx);
    context::ALLOW
}

#[sock_ops]
fn tcp_outcome(ctx: SockOpsContext) -> u32 {
    outcomes::observe(ctx);
    OBSERVED
}

/// A socket is told of an error.
#[raw_tracepoint(tracepoint = "inet_sk_error_report")]
fn socket_error(ctx: RawTracePointContext) -> i32 {
    replies::refused(&ctx);
    0
}

/// A segment of TCP is sent once more.
#[raw_tracepoint(tracepoint = "tcp_retransmit_skb")]
fn tcp_retransmit(ctx: RawTracePointContext) -> i32 {
    retransmits::traced(&ctx);
    0
}

/// What `tcp_outcome` returns: nothing of the connection is changed.
const OBSERVED: u32 = 1;

/// What calling any program costs: the benches subtract it. No agent loads this one.
#[cgroup_sock_addr(connect4)]
fn baseline4(_ctx: SockAddrContext) -> i32 {
    context::ALLOW
}

/// The same at `sock_release`.
#[cgroup_sock(sock_release)]
fn baseline_release(_ctx: SockContext) -> i32 {
    context::ALLOW
}

/// The same for outcomes of TCP connections.
#[sock_ops]
fn baseline_outcome(_ctx: SockOpsContext) -> u32 {
    OBSERVED
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// The kernel lets programs under this license call every helper.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
