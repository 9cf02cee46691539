//! What becomes of TCP connections that a Service's decision led somewhere: `sockops`.
//!
//! A connection is looked at where its socket's record says that it was just given a Pod. So one
//! to a Pod's own address, or one that the client gives up itself (whose record its `close()` takes
//! away first), counts for nothing.

use core::ptr;

use aya_ebpf::{
    EbpfContext as _,
    bindings::{
        BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB, BPF_SOCK_OPS_RETRANS_CB, BPF_SOCK_OPS_RETRANS_CB_FLAG,
        BPF_SOCK_OPS_STATE_CB, BPF_SOCK_OPS_STATE_CB_FLAG, BPF_SOCK_OPS_TCP_CONNECT_CB,
    },
    programs::{SockContext, SockOpsContext},
};
use etm_abi::{
    FLOW_ASKED, FLOW_ESTABLISHED, FLOW_LATE, FLOW_REPEATED, FLOW_REPLIES, FLOW_UNDER_WAY, Failure,
    Flow, PROTOCOL_TCP,
};

use crate::{
    attention, ejection, flows, observed::Observed, replies, retransmits, settings, socket::Socket,
    tally,
};

/// States of net/tcp_states.h.
const ESTABLISHED: u32 = 1;
pub const SYN_SENT: u32 = 2;
const FIN_WAIT1: u32 = 4;
const CLOSE: u32 = 7;
const CLOSE_WAIT: u32 = 8;

#[inline(always)]
pub fn observe(ctx: SockOpsContext) {
    let observed = Observed::new(&ctx);
    match observed.op() {
        BPF_SOCK_OPS_TCP_CONNECT_CB => begin(&observed),
        BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB => established(&observed),
        BPF_SOCK_OPS_STATE_CB => change(&observed),
        BPF_SOCK_OPS_RETRANS_CB => retransmits::repeated(&observed),
        _ => {}
    }
}

/// [`Flow::phase`] of a socket that calls for the first time.
#[inline(always)]
pub fn asked(protocol: u8) -> u32 {
    if protocol == PROTOCOL_TCP && settings::tcp_sent().is_some() {
        FLOW_UNDER_WAY
    } else {
        FLOW_ASKED
    }
}

/// The same of a socket whose `close()` could not tell whether it has sent a SYN: then the SYN is
/// looked at.
#[cold]
#[inline(never)]
pub fn unsent(asked: u32) -> u32 {
    if asked != FLOW_UNDER_WAY {
        return asked;
    }
    attention::call();
    FLOW_ASKED
}

/// The first SYN is about to be sent.
///
/// Whatever is asked for costs runs of the program, and the asking too. So it is for where something
/// went wrong lately: else the kernel says by itself that a connection is established, that a segment
/// is sent once more is seen by another program, and how a connection ended, or that it never was, is
/// seen when the socket is closed.
#[inline(always)]
fn begin(observed: &Observed) {
    if settings::tcp_sent().is_none() || attention::take() {
        begin_closely(observed);
    }
}

#[cold]
#[inline(never)]
fn begin_closely(observed: &Observed) {
    let Some(flow) = observed.flow() else { return };
    match phase(flow) {
        FLOW_ASKED => set_phase(flow, FLOW_UNDER_WAY),
        FLOW_UNDER_WAY => {}
        _ => return,
    }
    let mut asked =
        if retransmits::are_traced(observed) { 0 } else { BPF_SOCK_OPS_RETRANS_CB_FLAG };
    if ejection::watches(backend(flow)) {
        asked |= BPF_SOCK_OPS_STATE_CB_FLAG;
    }
    if asked != 0 {
        observed.ask(asked);
    }
}

/// The socket's state changes.
#[inline(always)]
fn change(observed: &Observed) {
    match (observed.argument(0), observed.argument(1)) {
        (SYN_SENT, CLOSE) => failed(observed),
        (ESTABLISHED, CLOSE) => reset(observed),
        (ESTABLISHED, FIN_WAIT1 | CLOSE_WAIT) => ended_well(observed),
        _ => {}
    }
}

#[inline(always)]
fn established(observed: &Observed) {
    let Some(flow) = observed.flow() else { return };
    let phase = phase(flow);
    if !is_under_way(phase) {
        return;
    }
    set_phase(flow, FLOW_ESTABLISHED);
    let id = backend(flow);
    // An eighth of a microsecond is the kernel's unit.
    tally::add_established(id, observed.srtt() >> 3);
    ejection::succeeded(id, flow);
}

#[cold]
#[inline(never)]
fn failed(observed: &Observed) {
    let Some(flow) = observed.flow() else { return };
    let phase = phase(flow);
    if !is_under_way(phase) {
        return;
    }
    set_phase(flow, 0);
    unanswered(flow, phase, observed.netns());
}

/// Counts a connection that came to nothing.
#[inline(always)]
fn unanswered(flow: *mut Flow, phase: u32, netns: u64) {
    let id = backend(flow);
    if phase == FLOW_UNDER_WAY {
        tally::refused(id);
        ejection::failed(id, flow, netns, Failure::Refused);
        return;
    }
    tally::timed_out(id);
    if phase != FLOW_LATE {
        ejection::failed(id, flow, netns, Failure::TimedOut);
    }
}

/// A socket is given up: by its `close()`. Its state was not asked for before, or it would have been
/// counted already.
#[inline(always)]
pub fn ended(flow: *mut Flow, ctx: &SockContext) {
    let phase = phase(flow);
    if phase & FLOW_REPLIES != 0 {
        replies::ended(flow, phase, ctx);
    } else if phase >= FLOW_UNDER_WAY && flows::state(ctx) == CLOSE {
        ended_closed(flow, phase, ctx);
    } else if phase == FLOW_ESTABLISHED {
        // The change of state that follows finds no record any more.
        ejection::ended_well(backend(flow), flow);
    }
}

/// A socket is connected once more. Whether the attempt before had come to nothing is not known here.
#[inline(always)]
pub fn replaced(flow: *mut Flow) {
    if is_under_way(phase(flow)) {
        ejection::watch(backend(flow));
    }
}

#[cold]
#[inline(never)]
fn ended_closed(flow: *mut Flow, phase: u32, ctx: &SockContext) {
    if phase == FLOW_ESTABLISHED {
        // Whether the Pod had sent something by then is not known here.
        ejection::watch(backend(flow));
    } else if phase != FLOW_UNDER_WAY || has_sent(ctx) {
        unanswered(flow, phase, flows::netns(ctx));
    }
}

/// Whether a socket has sent a SYN, or a subflow of it: of those the SYN is looked at.
#[inline(always)]
fn has_sent(ctx: &SockContext) -> bool {
    flows::protocol(ctx) != PROTOCOL_TCP as u32
        || Socket::of(ctx.as_ptr()).is_none_or(Socket::has_sent)
}

/// One end closes the connection.
#[cold]
#[inline(never)]
fn ended_well(observed: &Observed) {
    let Some(flow) = observed.flow() else { return };
    if phase(flow) == FLOW_ESTABLISHED {
        ejection::ended_well(backend(flow), flow);
    }
}

/// Neither end has closed the connection: the Pod, or something on the way, has reset it.
#[cold]
#[inline(never)]
fn reset(observed: &Observed) {
    let Some(flow) = observed.flow() else { return };
    if phase(flow) != FLOW_ESTABLISHED || observed.bytes_received() != 0 {
        return;
    }
    set_phase(flow, 0);
    let id = backend(flow);
    tally::reset(id);
    ejection::failed(id, flow, observed.netns(), Failure::Reset);
}

#[inline(always)]
pub fn phase(flow: *mut Flow) -> u32 {
    // SAFETY: an element of a map; volatile, since other CPUs may write it.
    unsafe { ptr::read_volatile(&raw const (*flow).phase) }
}

/// Whether the first SYN is not answered yet, by a [`Flow::phase`].
#[inline(always)]
pub const fn is_under_way(phase: u32) -> bool {
    phase & FLOW_REPLIES == 0 && matches!(phase % FLOW_REPEATED, FLOW_UNDER_WAY | FLOW_LATE)
}

#[inline(always)]
pub fn set_phase(flow: *mut Flow, phase: u32) {
    // SAFETY: as above; the record is that of this socket, whose connection is one at a time.
    unsafe { ptr::write_volatile(&raw mut (*flow).phase, phase) };
}

#[inline(always)]
pub fn backend(flow: *mut Flow) -> u32 {
    // SAFETY: as above.
    unsafe { ptr::read_volatile(&raw const (*flow).backend) }
}
