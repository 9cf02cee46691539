//! What each connected socket was told: `FLOWS`, by the low bits of the socket's cookie.
//!
//! A record belongs to the socket whose whole cookie it carries. A socket whose place is held by a
//! living one moves that record to `FLOWS_MOVED` first. The order of writes leaves no moment in
//! which a living socket has no record:
//!
//! 1. copy the record, and see that its cookie has not changed meanwhile;
//! 2. put the copy into `FLOWS_MOVED`;
//! 3. take the place by compare-and-swap of the cookie. Where that fails, the owner has closed or
//!    written its record anew in the meantime, and the copy is removed again;
//! 4. write the new record, its cookie last.

use core::{ffi::c_void, intrinsics, ptr};

use aya_ebpf::{
    EbpfContext as _,
    bindings::{BPF_EXIST, BPF_NOEXIST},
    helpers::{bpf_get_netns_cookie, bpf_get_socket_cookie},
    programs::SockContext,
};
use etm_abi::{Address, Backend, Counter, FLOW_BUSY, FLOW_CLOSED, FLOW_SLOTS, Flow, UdpFlowKey};

use crate::{
    connections::{self, Counted},
    maps, mptcp, outcomes,
    report::count,
};

#[inline(always)]
fn place(cookie: u64) -> Option<*mut Flow> {
    maps::FLOWS.get_ptr_mut(cookie as u32 & (FLOW_SLOTS - 1))
}

#[inline(always)]
fn load(place: *mut Flow) -> u64 {
    // SAFETY: `place` is an element of FLOWS; volatile, since other CPUs write it.
    unsafe { ptr::read_volatile(&raw const (*place).cookie) }
}

/// Swaps the cookie of a place, and gives what was found there.
#[inline(always)]
fn swap(place: *mut Flow, expected: u64, new: u64) -> u64 {
    use intrinsics::AtomicOrdering::SeqCst;
    // SAFETY: `place` is an element of FLOWS, and its cookie is aligned to 8 bytes.
    unsafe {
        intrinsics::atomic_cxchg::<u64, { SeqCst }, { SeqCst }>(
            &raw mut (*place).cookie,
            expected,
            new,
        )
        .0
    }
}

#[inline(always)]
const fn is_free(cookie: u64) -> bool {
    cookie as i64 <= 0
}

/// What a socket is told: the Service that it asked for, and the Pod that it gets.
pub struct Told<'a> {
    pub service: &'a Address,
    /// Network byte order.
    pub service_port: u16,
    pub backend: u32,
    pub pod: &'a Backend,
    /// Whether `CONNECTIONS` counts it for as long as the socket is open.
    pub counted: bool,
    /// [`Flow::phase`].
    pub phase: u32,
}

impl Told<'_> {
    /// Writes all but the cookie, field by field: a whole record built on the stack first costs a
    /// call of `memset` and a copy on every connect.
    #[inline(always)]
    pub fn fill(&self, place: &mut Flow, phase: u32) {
        copy(self.service, &mut place.service);
        copy(&self.pod.address, &mut place.peer);
        place.service_port = self.service_port;
        place.peer_port = self.pod.port;
        place.backend = self.backend;
        place.incarnation =
            if self.counted { connections::open(self.backend, self.pod) } else { 0 };
        place.phase = phase;
    }
}

/// Word by word and volatile, since the compiler makes a plain copy a call of `memcpy`, which goes
/// byte by byte.
#[inline(always)]
fn copy(from: &Address, to: &mut Address) {
    let mut set = |index: usize| {
        // SAFETY: a word of `to`.
        unsafe { ptr::write_volatile(&raw mut to[index], from[index]) };
    };
    set(0);
    set(1);
    set(2);
    set(3);
}

/// Has the processor fetch a socket's place, which nobody has touched for thousands of connections,
/// while it goes on with the choice of a Pod.
#[inline(always)]
pub fn expect(cookie: u64) {
    if let Some(place) = place(cookie) {
        let _ = load(place);
    }
}

/// Remembers what a socket is told.
#[inline(always)]
pub fn record(cookie: u64, told: &Told<'_>) {
    let Some(place) = place(cookie) else { return };
    if let Some(phase) = claim(place, cookie, told.phase) {
        // SAFETY: `place` is an element of FLOWS, and FLOW_BUSY keeps every other writer away.
        told.fill(unsafe { &mut *place }, phase);
        // SAFETY: as above; volatile, so that the cookie is written last.
        unsafe { ptr::write_volatile(&raw mut (*place).cookie, cookie) };
        return;
    }
    record_aside(place, cookie, told);
}

/// Remembers to what Service a socket that is not connected sends, and that a reply is expected.
#[cold]
#[inline(never)]
pub fn record_unconnected(key: &UdpFlowKey, phase: u32) {
    /// No socket is connected there, so that `asked` never takes it for what one was told.
    static NOWHERE: Backend = Backend::NONE;
    let told = Told {
        service: &key.address,
        service_port: key.port,
        backend: u32::MAX,
        pod: &NOWHERE,
        counted: false,
        phase,
    };
    let is_so = |flow: *mut Flow| {
        // SAFETY: an element of a map, of this socket.
        unsafe {
            (*flow).phase == phase
                && (*flow).service_port == key.port
                && (*flow).service == key.address
        }
    };
    if !find(key.cookie).is_some_and(is_so) {
        record(key.cookie, &told);
    }
}

/// Remembers what a socket is told whose place another one is just taking.
#[cold]
#[inline(never)]
fn record_aside(place: *mut Flow, cookie: u64, told: &Told<'_>) {
    let mut flow = Flow { cookie, ..Flow::default() };
    told.fill(&mut flow, outcomes::unsent(told.phase));
    // A socket that is connected once more may have one there already.
    let replaced = || {
        close_moved(cookie);
        maps::FLOWS_MOVED.insert(cookie, flow, BPF_EXIST as u64).is_ok()
    };
    if !set_aside(place, &flow) && !replaced() {
        Counted::of(&flow).close();
        count(Counter::FlowLost);
    }
}

/// Takes a place for a socket, moving a living owner's record out of it, and gives the phase that its
/// record is to have.
#[inline(always)]
fn claim(place: *mut Flow, cookie: u64, phase: u32) -> Option<u32> {
    let held = load(place);
    if is_free(held) {
        return (swap(place, held, FLOW_BUSY) == held).then_some(phase);
    }
    if !displace(place, held, cookie) {
        return None;
    }
    // A socket that is connected once more has sent something before.
    Some(if held == cookie { outcomes::unsent(phase) } else { phase })
}

/// Takes a place from a living socket, whose record moves, unless it is the socket itself that is
/// connected once more.
#[cold]
#[inline(never)]
fn displace(place: *mut Flow, held: u64, cookie: u64) -> bool {
    if held == cookie {
        let counted = Counted::of(place);
        outcomes::replaced(place);
        let taken = swap(place, held, FLOW_BUSY) == held;
        if taken {
            counted.close();
        }
        return taken;
    }
    if held == FLOW_BUSY || !copy_out(place, held) {
        return false;
    }
    if swap(place, held, FLOW_BUSY) == held {
        count(Counter::FlowMoved);
        return true;
    }
    // No other socket can have displaced the owner: its copy would have been there first.
    take_back(place, held);
    false
}

/// Copies a living socket's record to `FLOWS_MOVED`.
#[inline(always)]
fn copy_out(place: *mut Flow, owner: u64) -> bool {
    // SAFETY: `place` is an element of FLOWS; whether the copy is whole is checked next.
    let copy = unsafe { ptr::read_volatile(place) };
    copy.cookie == owner && load(place) == owner && set_aside(place, &copy)
}

/// Puts a record into `FLOWS_MOVED` where there is none of its socket, counted first, so that
/// whoever looks for it finds it.
#[inline(always)]
fn set_aside(place: *mut Flow, flow: &Flow) -> bool {
    add_moved(place, 1);
    let done = maps::FLOWS_MOVED.insert(flow.cookie, flow, BPF_NOEXIST as u64).is_ok();
    if !done {
        add_moved(place, u64::MAX);
    }
    done
}

/// The connection of a record in `FLOWS_MOVED` is no more.
#[inline(always)]
fn close_moved(cookie: u64) {
    // SAFETY: the value is replaced as a whole, never written in place.
    if let Some(flow) = unsafe { maps::FLOWS_MOVED.get(cookie) } {
        Counted::of(flow).close();
    }
}

/// Forgets a record in `FLOWS_MOVED` whose socket is being closed.
#[cold]
#[inline(never)]
fn release_moved(place: *mut Flow, cookie: u64) {
    close_moved(cookie);
    take_back(place, cookie);
}

/// Removes a record from `FLOWS_MOVED`.
#[cold]
#[inline(never)]
fn take_back(place: *mut Flow, cookie: u64) {
    if maps::FLOWS_MOVED.remove(cookie).is_ok() {
        add_moved(place, u64::MAX);
    }
}

#[inline(always)]
fn add_moved(place: *mut Flow, difference: u64) {
    // SAFETY: `place` is an element of FLOWS, and the field is aligned to 8 bytes.
    unsafe {
        intrinsics::atomic_xadd::<u64, u64, { intrinsics::AtomicOrdering::Relaxed }>(
            &raw mut (*place).moved,
            difference,
        )
    };
}

#[inline(always)]
fn has_moved(place: *mut Flow) -> bool {
    // SAFETY: `place` is an element of FLOWS; volatile, since other CPUs write it.
    unsafe { ptr::read_volatile(&raw const (*place).moved) != 0 }
}

/// The Service address and port that a socket asked for, if it is connected to the Pod that it was
/// given then; a socket that has since been connected elsewhere is left alone.
#[inline(always)]
pub fn service(cookie: u64, peer: &Address, peer_port: u16) -> Option<(Address, u16)> {
    service_and_phase(cookie, peer, peer_port).map(|(service, _)| service)
}

/// The same, with the [`Flow::phase`].
#[inline(always)]
pub fn service_and_phase(
    cookie: u64,
    peer: &Address,
    peer_port: u16,
) -> Option<((Address, u16), u32)> {
    let place = place(cookie)?;
    if load(place) == cookie {
        // SAFETY: `place` is an element of FLOWS; whether the copy is whole is checked next.
        let flow = unsafe { ptr::read_volatile(place) };
        if load(place) == cookie {
            return Some((asked(&flow, peer, peer_port)?, flow.phase));
        }
    }
    if !has_moved(place) {
        return None;
    }
    // SAFETY: the value is replaced as a whole, never written in place.
    let flow = unsafe { maps::FLOWS_MOVED.get(cookie) }?;
    Some((asked(flow, peer, peer_port)?, flow.phase))
}

/// The record of a socket.
#[inline(always)]
pub fn find(cookie: u64) -> Option<*mut Flow> {
    let place = place(cookie)?;
    if load(place) == cookie {
        return Some(place);
    }
    if has_moved(place) { maps::FLOWS_MOVED.get_ptr_mut(cookie) } else { None }
}

#[inline(always)]
pub fn asked(flow: &Flow, peer: &Address, peer_port: u16) -> Option<(Address, u16)> {
    (flow.peer == *peer && flow.peer_port == peer_port).then_some((flow.service, flow.service_port))
}

/// The state of a TCP socket.
#[inline(always)]
pub fn state(ctx: &SockContext) -> u32 {
    // SAFETY: the context is valid for the whole program, and the verifier allows to read the field.
    unsafe { ptr::read_volatile(&raw const (*ctx.sock).state) }
}

/// The protocol of a socket.
#[inline(always)]
pub fn protocol(ctx: &SockContext) -> u32 {
    // SAFETY: as above.
    unsafe { ptr::read_volatile(&raw const (*ctx.sock).protocol) }
}

/// Cookie of the socket's network namespace.
#[inline(always)]
pub fn netns(ctx: &SockContext) -> u64 {
    // SAFETY: the helper takes this program type's context.
    unsafe { bpf_get_netns_cookie(ctx.as_ptr()) }
}

/// Forgets a socket that is being closed.
#[inline(always)]
pub fn release(ctx: &SockContext) {
    // SAFETY: the helper takes this program type's context.
    let cookie = unsafe { bpf_get_socket_cookie(ctx.as_ptr().cast::<c_void>()) };
    let Some(place) = place(cookie) else { return };
    if load(place) == cookie {
        let counted = Counted::of(place);
        outcomes::ended(place, ctx);
        if swap(place, cookie, cookie | FLOW_CLOSED) == cookie {
            counted.close();
        }
    } else {
        mptcp::release(ctx);
    }
    if has_moved(place) {
        release_moved(place, cookie);
    }
}
