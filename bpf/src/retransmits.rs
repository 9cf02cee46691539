//! Segments that are sent once more: the tracepoint `tcp_retransmit_skb`, which costs a connection nothing
//! that loses nothing, and `sockops` where that cannot tell.

use aya_ebpf::{
    bindings::{BPF_SOCK_OPS_RETRANS_CB_FLAG, BPF_SOCK_OPS_STATE_CB_FLAG},
    programs::RawTracePointContext,
};
use etm_abi::{
    FLOW_ESTABLISHED, FLOW_LATE, FLOW_REPEATED, FLOW_REPEATED_MOST, FLOW_UNDER_WAY, Failure, Flow,
};

use crate::{
    ejection, flows,
    observed::Observed,
    outcomes::{SYN_SENT, backend, is_under_way, phase, set_phase},
    settings,
    socket::{Socket, segments},
    tally,
};

/// Whether the tracepoint sees them: it knows no subflows of MPTCP.
#[inline(always)]
pub fn are_traced(observed: &Observed) -> bool {
    settings::tcp_sent().is_some() && observed.own_flow().is_some()
}

/// A segment of a subflow of MPTCP is sent once more, or of any connection where the tracepoint cannot
/// tell.
#[cold]
#[inline(never)]
pub fn repeated(observed: &Observed) {
    if are_traced(observed) {
        return;
    }
    let Some(flow) = observed.flow() else { return };
    if observed.state() == SYN_SENT {
        // From now on its end is told at once.
        observed.ask(BPF_SOCK_OPS_STATE_CB_FLAG | BPF_SOCK_OPS_RETRANS_CB_FLAG);
    }
    count(flow, observed.argument(1), || Some(observed.netns()));
}

/// A segment of whatever connection of the node is sent once more.
#[inline(always)]
pub fn traced(ctx: &RawTracePointContext) {
    let socket = Socket::at(ctx.arg::<u64>(0));
    if let Some(flow) = socket.cookie().and_then(flows::find) {
        count(flow, segments(ctx.arg::<u64>(1)), || socket.netns());
    }
}

/// Counts segments that are sent once more: the SYN, for as long as that is under way.
#[inline(always)]
fn count(flow: *mut Flow, segments: u32, netns: impl FnOnce() -> Option<u64>) {
    let (id, before) = (backend(flow), phase(flow));
    if before == FLOW_ESTABLISHED {
        tally::retransmits(id, segments.max(1));
        return;
    }
    if !is_under_way(before) {
        return;
    }
    tally::syn_retransmits(id);
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
