//! What becomes of TCP connections that a Service's decision led somewhere: `sockops`.
//!
//! A connection is looked at where its socket's record says that it was just given a Pod. So one
//! to a Pod's own address, or one that the client gives up itself (whose record its `close()` takes
//! away first), counts for nothing.

use core::{ffi::c_void, intrinsics, ptr};

use aya_ebpf::{
    bindings::{
        BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB, BPF_SOCK_OPS_RETRANS_CB, BPF_SOCK_OPS_RETRANS_CB_FLAG,
        BPF_SOCK_OPS_STATE_CB, BPF_SOCK_OPS_STATE_CB_FLAG, BPF_SOCK_OPS_TCP_CONNECT_CB,
        bpf_sock_ops,
    },
    helpers::{bpf_get_netns_cookie, bpf_get_socket_cookie},
    programs::{SockContext, SockOpsContext},
};
use etm_abi::{
    FLOW_ASKED, FLOW_ESTABLISHED, FLOW_LATE, FLOW_REPLIES, FLOW_UNDER_WAY, Failure, Flow, Outcomes,
};

use crate::{ejection, flows, maps, mptcp, replies};

/// States of net/tcp_states.h.
const ESTABLISHED: u32 = 1;
const SYN_SENT: u32 = 2;
const FIN_WAIT1: u32 = 4;
const CLOSE: u32 = 7;
const CLOSE_WAIT: u32 = 8;

/// One call of the program, for one socket.
pub struct Observed {
    ops: *mut bpf_sock_ops,
}

macro_rules! field {
    ($name:ident, $field:ident) => {
        #[inline(always)]
        fn $name(&self) -> u32 {
            // SAFETY: the context is valid for the whole program.
            unsafe { ptr::read_volatile(&raw const (*self.ops).$field) }
        }
    };
}

impl Observed {
    field!(op, op);
    field!(state, state);
    field!(srtt, srtt_us);
    field!(total_retransmits, total_retrans);

    #[inline(always)]
    fn argument(&self, index: usize) -> u32 {
        // SAFETY: as above; the arguments are what the kernel calls the program with.
        unsafe { ptr::read_volatile(&raw const (*self.ops).__bindgen_anon_1.args[index]) }
    }

    #[inline(always)]
    fn bytes_received(&self) -> u64 {
        // SAFETY: as above.
        unsafe { ptr::read_volatile(&raw const (*self.ops).bytes_received) }
    }

    #[inline(always)]
    fn cookie(&self) -> u64 {
        // SAFETY: the helper takes this program type's context.
        unsafe { bpf_get_socket_cookie(self.ops.cast::<c_void>()) }
    }

    /// Cookie of the caller's network namespace.
    #[inline(always)]
    pub fn netns(&self) -> u64 {
        // SAFETY: the helper takes this program type's context.
        unsafe { bpf_get_netns_cookie(self.ops.cast::<c_void>()) }
    }

    #[inline(always)]
    fn flow(&self) -> Option<*mut Flow> {
        flows::find(self.cookie()).or_else(|| mptcp::of_subflow(self.ops))
    }
}

#[inline(always)]
pub fn observe(ctx: SockOpsContext) {
    let observed = Observed { ops: ctx.ops };
    match observed.op() {
        BPF_SOCK_OPS_TCP_CONNECT_CB => begin(&ctx, &observed),
        BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB => established(&observed),
        BPF_SOCK_OPS_STATE_CB => change(&observed),
        BPF_SOCK_OPS_RETRANS_CB => repeat(&ctx, &observed),
        _ => {}
    }
}

/// The first SYN is about to be sent.
///
/// Each change of state costs a run of the program, so these are asked for where something went wrong
/// lately. Elsewhere the kernel says by itself that a connection is established, and how it ended, or
/// that it never was, is seen when the socket is closed.
#[inline(always)]
fn begin(ctx: &SockOpsContext, observed: &Observed) {
    let Some(flow) = observed.flow() else { return };
    if phase(flow) != FLOW_ASKED {
        return;
    }
    set_phase(flow, FLOW_UNDER_WAY);
    let mut asked = BPF_SOCK_OPS_RETRANS_CB_FLAG;
    if ejection::watches(backend(flow)) {
        asked |= BPF_SOCK_OPS_STATE_CB_FLAG;
    }
    let _ = ctx.set_cb_flags(asked as i32);
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
    if phase != FLOW_UNDER_WAY && phase != FLOW_LATE {
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
    if phase != FLOW_UNDER_WAY && phase != FLOW_LATE {
        return;
    }
    set_phase(flow, 0);
    unanswered(flow, phase, observed.total_retransmits() != 0, observed.netns());
}

/// Counts a connection that came to nothing.
#[inline(always)]
fn unanswered(flow: *mut Flow, phase: u32, repeated: bool, netns: u64) {
    let id = backend(flow);
    if phase == FLOW_UNDER_WAY && !repeated {
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
        ended_closed(flow, phase, flows::netns(ctx));
    } else if phase == FLOW_ESTABLISHED {
        // The change of state that follows finds no record any more.
        ejection::ended_well(backend(flow), flow);
    }
}

/// A socket is connected once more. Whether the attempt before had come to nothing is not known here.
#[inline(always)]
pub fn replaced(flow: *mut Flow) {
    if matches!(phase(flow), FLOW_UNDER_WAY | FLOW_LATE) {
        ejection::watch(backend(flow));
    }
}

#[cold]
#[inline(never)]
fn ended_closed(flow: *mut Flow, phase: u32, netns: u64) {
    if phase == FLOW_ESTABLISHED {
        // Whether the Pod had sent something by then is not known here.
        ejection::watch(backend(flow));
    } else {
        unanswered(flow, phase, false, netns);
    }
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

/// A segment is sent once more.
#[cold]
#[inline(never)]
fn repeat(ctx: &SockOpsContext, observed: &Observed) {
    let Some(flow) = observed.flow() else { return };
    let id = backend(flow);
    if observed.state() != SYN_SENT {
        add(id, |outcomes| &raw mut outcomes.retransmits, observed.argument(1).max(1));
        return;
    }
    add(id, |outcomes| &raw mut outcomes.syn_retransmits, 1);
    // From now on its end is told at once.
    let _ = ctx.set_cb_flags((BPF_SOCK_OPS_STATE_CB_FLAG | BPF_SOCK_OPS_RETRANS_CB_FLAG) as i32);
    // The kernel counts this one after the call.
    let repeated = observed.total_retransmits() + 1;
    if phase(flow) == FLOW_UNDER_WAY && ejection::is_late(id, repeated) {
        set_phase(flow, FLOW_LATE);
        ejection::failed(id, flow, observed.netns(), Failure::TimedOut);
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
