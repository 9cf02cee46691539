//! Whether Pods reply over UDP, where a policy says that they are to: [`Backend::reply_timeout`].
//!
//! A socket that is not answered in time is judged when it sends again or is closed, since nothing
//! runs while it is silent. One that is given up sooner tells nothing.

use core::ptr;

use aya_ebpf::{
    EbpfContext as _,
    programs::{RawTracePointContext, SockContext},
};
use etm_abi::{
    Backend, FLOW_HEARD, FLOW_REPLIES, FLOW_SETTLED, FLOW_UNCONNECTED, Failure, Flow, UdpFlow,
    UdpFlowKey, UdpReverseKey,
};
use etm_decide::replies::{awaited, is_late};

use crate::{
    context::{Caller, Family},
    ejection, flows, maps, outcomes,
    record::{incarnation, is_of, now, record, reply_timeout},
    socket::{Received, Socket},
    tally,
};

/// A UDP socket is being connected, and has its record. Of one that was read from before, nobody can
/// tell later whether it was by then.
#[inline(always)]
pub fn begin(socket: Option<Socket>, cookie: u64) {
    if let Some(socket) = socket {
        etm_begin(socket.address(), cookie);
    }
}

/// Global, so that the verifier looks at it once and not once for each way that leads here.
// SAFETY: no other symbol has the name.
#[unsafe(no_mangle)]
#[cold]
#[inline(never)]
extern "C" fn etm_begin(socket: u64, cookie: u64) -> u64 {
    if let Some(flow) = flows::find(cookie) {
        let fresh = Socket::at(socket).received() == Received::Nothing;
        outcomes::set_phase(flow, awaited(now()) | if fresh { 0 } else { FLOW_SETTLED });
    }
    0
}

/// A connected socket has received something.
#[cold]
#[inline(never)]
pub fn heard(cookie: u64) {
    let Some(flow) = flows::find(cookie) else { return };
    if settle(flow) {
        answered_by(flow);
    }
}

/// A socket of which a reply is expected is closed.
#[cold]
#[inline(never)]
pub fn ended(flow: *mut Flow, phase: u32, ctx: &SockContext) {
    if phase & FLOW_SETTLED != 0 {
        return;
    }
    let Some(socket) = Socket::of(ctx.as_ptr()) else { return };
    if phase & FLOW_UNCONNECTED != 0 {
        // SAFETY: the record of this socket, which is being closed.
        let (cookie, address, port) =
            unsafe { ((*flow).cookie, (*flow).service, (*flow).service_port) };
        let key = UdpFlowKey { cookie, address, port, pad: [0; 3] };
        let Some(sent) = maps::UDP_FLOWS.get_ptr_mut(key) else { return };
        if waited_in_vain(sent, phase, socket) {
            failed(sent, flows::netns(ctx));
        }
        return;
    }
    let id = outcomes::backend(flow);
    let Some(pod) = record(id) else { return };
    let timeout = reply_timeout(pod);
    if timeout == 0 {
        return;
    }
    match socket.received() {
        Received::Read | Received::Waiting => answered_by(flow),
        Received::Nothing if is_late(phase, now(), timeout) && is_of(pod, flow) => {
            tally::timed_out(id);
            ejection::failed_of(id, pod, flows::netns(ctx), Failure::TimedOut);
        }
        _ => {}
    }
}

/// A socket that is not connected has sent a datagram to a backend that is to reply. Gives the
/// [`Flow::phase`] of the record that the socket is to have, 0 where it keeps its own: recorded by
/// the caller, since the stack of all calls together is 512 bytes.
#[cold]
#[inline(never)]
pub fn sent<F: Family>(caller: &Caller<F>, key: &UdpFlowKey) -> u32 {
    let Some(sent) = maps::UDP_FLOWS.get_ptr_mut(key) else { return 0 };
    let Some(pod) = record(backend(sent)) else { return 0 };
    let phase = match flows::find(key.cookie) {
        Some(flow) => outcomes::phase(flow),
        None => 0,
    };
    if is_awaited(sent, pod) {
        let late =
            Socket::of(caller.socket()).is_some_and(|socket| waited_in_vain(sent, phase, socket));
        if !late {
            return 0;
        }
        failed(sent, caller.netns());
    }
    // SAFETY: an entry of a map; of several threads that send at once, the last one counts.
    unsafe {
        ptr::write_volatile(&raw mut (*sent).incarnation, incarnation(pod));
        ptr::write_volatile(&raw mut (*sent).awaited, awaited(now()));
    }
    // That of a connected socket is left alone.
    if phase != 0 && phase & FLOW_UNCONNECTED == 0 {
        return 0;
    }
    FLOW_REPLIES | FLOW_UNCONNECTED | phase & FLOW_HEARD
}

/// A socket that is not connected has received a reply from a Pod, to what it sent to a Service.
#[cold]
#[inline(never)]
pub fn received(key: &UdpFlowKey, from: &UdpReverseKey) {
    if let Some(flow) = flows::find(key.cookie) {
        let phase = outcomes::phase(flow);
        if phase & (FLOW_UNCONNECTED | FLOW_HEARD) == FLOW_UNCONNECTED {
            outcomes::set_phase(flow, phase | FLOW_HEARD);
        }
    }
    let Some(sent) = maps::UDP_FLOWS.get_ptr_mut(key) else { return };
    let id = backend(sent);
    let Some(pod) = record(id) else { return };
    // SAFETY: an element of BACKENDS; the agent may be writing it.
    let is_from = unsafe { (*pod).address == from.address && (*pod).port == from.port };
    if !is_from || !is_awaited(sent, pod) {
        return;
    }
    // SAFETY: an entry of a map.
    unsafe { ptr::write_volatile(&raw mut (*sent).awaited, 0) };
    tally::answered(id);
    ejection::replied(id, pod);
}

/// A message came that nobody listens, or that there is no way. A connected socket is told; others
/// only where they ask to be, and then of no Pod in particular.
#[inline(always)]
pub fn refused(ctx: &RawTracePointContext) {
    let socket = Socket::at(ctx.arg::<u64>(0));
    let Some(flow) = socket.cookie().and_then(flows::find) else { return };
    let phase = outcomes::phase(flow);
    if phase & FLOW_REPLIES == 0 || phase & FLOW_UNCONNECTED != 0 {
        return;
    }
    if !socket.error().is_some_and(is_refusal) {
        return;
    }
    let Some(netns) = socket.netns() else { return };
    let id = outcomes::backend(flow);
    let Some(pod) = record(id) else { return };
    if reply_timeout(pod) == 0 || !is_of(pod, flow) {
        return;
    }
    outcomes::set_phase(flow, phase | FLOW_SETTLED);
    tally::refused(id);
    ejection::failed_of(id, pod, netns, Failure::Refused);
}

/// Errors that messages of ICMP become: EACCES, ENOPROTOOPT, ENETUNREACH, ECONNREFUSED,
/// EHOSTUNREACH. That a socket is ended by us, and that a datagram is too long, are others.
#[inline(always)]
const fn is_refusal(errno: i32) -> bool {
    matches!(errno, 13 | 92 | 101 | 111 | 113)
}

/// Marks a connected socket as one from which nothing more follows; `false` where it was.
#[inline(always)]
fn settle(flow: *mut Flow) -> bool {
    let phase = outcomes::phase(flow);
    if phase & (FLOW_REPLIES | FLOW_SETTLED | FLOW_UNCONNECTED) != FLOW_REPLIES {
        return false;
    }
    outcomes::set_phase(flow, phase | FLOW_SETTLED);
    true
}

/// The Pod of a connected socket has replied.
#[inline(always)]
fn answered_by(flow: *mut Flow) {
    let id = outcomes::backend(flow);
    let Some(pod) = record(id) else { return };
    if reply_timeout(pod) != 0 && is_of(pod, flow) {
        tally::answered(id);
        ejection::replied(id, pod);
    }
}

/// Whether a reply is expected of the Pod that has the record.
#[inline(always)]
fn is_awaited(sent: *mut UdpFlow, pod: *mut Backend) -> bool {
    // SAFETY: an entry of a map; volatile, since other CPUs write it.
    let (awaited, of) = unsafe {
        (
            ptr::read_volatile(&raw const (*sent).awaited),
            ptr::read_volatile(&raw const (*sent).incarnation),
        )
    };
    awaited != 0 && of == incarnation(pod)
}

/// Whether a datagram of a socket that is not connected had no reply in time. Where the socket
/// never asks from whom its datagrams are, that is known only as long as it has read none.
#[inline(always)]
fn waited_in_vain(sent: *mut UdpFlow, phase: u32, socket: Socket) -> bool {
    let Some(pod) = record(backend(sent)) else { return false };
    let timeout = reply_timeout(pod);
    // SAFETY: as above.
    let since = unsafe { ptr::read_volatile(&raw const (*sent).awaited) };
    if timeout == 0 || !is_awaited(sent, pod) || !is_late(since, now(), timeout) {
        return false;
    }
    match socket.received() {
        Received::Nothing => true,
        Received::Waiting => false,
        Received::Read | Received::Unknown => phase & FLOW_HEARD != 0,
    }
}

/// Counts a datagram that had no reply.
#[inline(always)]
fn failed(sent: *mut UdpFlow, netns: u64) {
    let id = backend(sent);
    let Some(pod) = record(id) else { return };
    tally::timed_out(id);
    ejection::failed_of(id, pod, netns, Failure::TimedOut);
}

#[inline(always)]
fn backend(sent: *mut UdpFlow) -> u32 {
    // SAFETY: an entry of a map; volatile, since other CPUs write it.
    unsafe { ptr::read_volatile(&raw const (*sent).backend) }
}
