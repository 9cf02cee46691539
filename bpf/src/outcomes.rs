//! What becomes of TCP connections that a Service's decision led somewhere: `sockops`, and the
//! tracepoint `tcp_retransmit_skb`, which costs a connection nothing that loses nothing.
//!
//! A connection is looked at where its socket's record says that it was just given a Pod. So one
//! to a Pod's own address, or one that the client gives up itself (whose record its `close()` takes
//! away first), counts for nothing.

use core::{intrinsics, ptr};

use aya_ebpf::{
    EbpfContext as _,
    bindings::{
        BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB, BPF_SOCK_OPS_RETRANS_CB, BPF_SOCK_OPS_RETRANS_CB_FLAG,
        BPF_SOCK_OPS_STATE_CB, BPF_SOCK_OPS_STATE_CB_FLAG, BPF_SOCK_OPS_TCP_CONNECT_CB,
    },
    programs::{RawTracePointContext, SockContext, SockOpsContext},
};
use etm_abi::{
    FLOW_ASKED, FLOW_ESTABLISHED, FLOW_LATE, FLOW_REPEATED, FLOW_REPEATED_MOST, FLOW_REPLIES,
    FLOW_UNDER_WAY, Failure, Flow, Outcomes, PROTOCOL_TCP,
};

use crate::{
    attention, ejection, flows, maps,
    observed::Observed,
    replies, settings,
    socket::{Socket, segments},
};

/// States of net/tcp_states.h.
const ESTABLISHED: u32 = 1;
const SYN_SENT: u32 = 2;
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
        BPF_SOCK_OPS_RETRANS_CB => repeat(&observed),
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
    let own = observed.own_flow().filter(|_| settings::tcp_sent().is_some());
    let Some(flow) = own.or_else(|| observed.flow()) else { return };
    match phase(flow) {
        FLOW_ASKED => set_phase(flow, FLOW_UNDER_WAY),
        FLOW_UNDER_WAY => {}
        _ => return,
    }
    let mut asked = if own.is_some() { 0 } else { BPF_SOCK_OPS_RETRANS_CB_FLAG };
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
    add_established(id, observed.srtt() >> 3);
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
        add(id, |outcomes| &raw mut outcomes.refused, 1);
        ejection::failed(id, flow, netns, Failure::Refused);
        return;
    }
    add(id, |outcomes| &raw mut outcomes.timed_out, 1);
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
    add(id, |outcomes| &raw mut outcomes.reset, 1);
    ejection::failed(id, flow, observed.netns(), Failure::Reset);
}

/// A segment of a subflow of MPTCP is sent once more, or of any connection where the tracepoint cannot
/// tell.
#[cold]
#[inline(never)]
fn repeat(observed: &Observed) {
    if settings::tcp_sent().is_some() && observed.own_flow().is_some() {
        return;
    }
    let Some(flow) = observed.flow() else { return };
    if observed.state() == SYN_SENT {
        // From now on its end is told at once.
        observed.ask(BPF_SOCK_OPS_STATE_CB_FLAG | BPF_SOCK_OPS_RETRANS_CB_FLAG);
    }
    repeated(flow, observed.argument(1), || Some(observed.netns()));
}

/// A segment of whatever connection of the node is sent once more.
#[inline(always)]
pub fn retransmitted(ctx: &RawTracePointContext) {
    let socket = Socket::at(ctx.arg::<u64>(0));
    if let Some(flow) = socket.cookie().and_then(flows::find) {
        repeated(flow, segments(ctx.arg::<u64>(1)), || socket.netns());
    }
}

/// Counts segments that are sent once more: the SYN, for as long as that is under way.
#[inline(always)]
fn repeated(flow: *mut Flow, segments: u32, netns: impl FnOnce() -> Option<u64>) {
    let (id, before) = (backend(flow), phase(flow));
    if before == FLOW_ESTABLISHED {
        add(id, |outcomes| &raw mut outcomes.retransmits, segments.max(1));
        return;
    }
    if !is_under_way(before) {
        return;
    }
    add(id, |outcomes| &raw mut outcomes.syn_retransmits, 1);
    if before == FLOW_LATE {
        return;
    }
    let times = (before / FLOW_REPEATED + 1).min(FLOW_REPEATED_MOST);
    if !ejection::is_late(id, times) {
        set_phase(flow, FLOW_UNDER_WAY + times * FLOW_REPEATED);
        return;
    }
    set_phase(flow, FLOW_LATE);
    if let Some(netns) = netns() {
        ejection::failed(id, flow, netns, Failure::TimedOut);
    }
}

/// A UDP Pod has replied.
#[inline(always)]
pub fn count_answered(id: u32) {
    add(id, |outcomes| &raw mut outcomes.established, 1);
}

/// A UDP Pod has not replied in time.
#[inline(always)]
pub fn count_timed_out(id: u32) {
    add(id, |outcomes| &raw mut outcomes.timed_out, 1);
}

/// A message came in place of a UDP Pod's reply.
#[inline(always)]
pub fn count_refused(id: u32) {
    add(id, |outcomes| &raw mut outcomes.refused, 1);
}

#[inline(always)]
pub fn phase(flow: *mut Flow) -> u32 {
    // SAFETY: an element of a map; volatile, since other CPUs may write it.
    unsafe { ptr::read_volatile(&raw const (*flow).phase) }
}

/// Whether the first SYN is not answered yet, by a [`Flow::phase`].
#[inline(always)]
const fn is_under_way(phase: u32) -> bool {
    matches!(phase % FLOW_REPEATED, FLOW_UNDER_WAY | FLOW_LATE)
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

#[inline(always)]
fn add(backend: u32, counter: impl Fn(&mut Outcomes) -> *mut u32, difference: u32) {
    let Some(outcomes) = maps::OUTCOMES.get_ptr_mut(backend) else { return };
    // SAFETY: a field of an element of the array, aligned to 4 bytes.
    unsafe {
        intrinsics::atomic_xadd::<u32, u32, { intrinsics::AtomicOrdering::Relaxed }>(
            counter(&mut *outcomes),
            difference,
        )
    };
}

/// Counts a connection that is established, and the time that its handshake took.
#[inline(always)]
fn add_established(backend: u32, rtt: u32) {
    let Some(outcomes) = maps::OUTCOMES.get_ptr_mut(backend) else { return };
    // SAFETY: the first two fields of an element of the array, aligned to 8 bytes together.
    unsafe {
        intrinsics::atomic_xadd::<u64, u64, { intrinsics::AtomicOrdering::Relaxed }>(
            (&raw mut (*outcomes).established).cast::<u64>(),
            1 | (rtt as u64) << 32,
        )
    };
}
