//! What an MPTCP socket was told.
//!
//! `connect()` of an MPTCP socket runs its hook on the first subflow, an inner TCP socket whose
//! cookie user space never meets; `getpeername()` runs its hook on the MPTCP socket itself. The
//! record is therefore kept in the MPTCP socket's own storage, which goes with it. `close()` runs its hook
//! on the MPTCP socket too, and on none of its subflows.

use core::{ffi::c_void, ptr};

use aya_ebpf::{
    EbpfContext as _,
    bindings::bpf_sock_ops,
    helpers::generated::{bpf_sk_storage_get, bpf_skc_to_mptcp_sock},
    programs::SockContext,
};
use etm_abi::{Address, Counter, Flow};

use crate::{
    connections::Counted,
    context::{Caller, Family, IPPROTO_MPTCP},
    flows::{self, Told, asked},
    maps, outcomes,
    report::count,
    settings,
};

/// `BPF_SK_STORAGE_GET_F_CREATE`.
const CREATE: u64 = 1;

/// The MPTCP socket that the calling socket is a subflow of; none for plain TCP.
#[inline(always)]
pub fn owner<F: Family>(caller: &Caller<F>) -> Option<*mut c_void> {
    if !settings::has_mptcp() {
        return None;
    }
    // SAFETY: the helper takes the socket of the context, and gives null for any other kind.
    let owner = unsafe { bpf_skc_to_mptcp_sock(caller.socket()) };
    (!owner.is_null()).then_some(owner.cast())
}

#[inline(always)]
fn storage(socket: *mut c_void, flags: u64) -> *mut Flow {
    let map = (&raw const maps::MPTCP_FLOWS).cast_mut().cast::<c_void>();
    // SAFETY: the map is a socket storage of `Flow`, and the socket lives as long as the call.
    unsafe { bpf_sk_storage_get(map, socket, ptr::null_mut(), flags) }.cast()
}

/// Remembers what an MPTCP socket was told.
#[cold]
#[inline(never)]
pub fn record(owner: *mut c_void, told: &Told<'_>) {
    let place = storage(owner, CREATE);
    if place.is_null() {
        count(Counter::FlowLost);
        return;
    }
    // Of a socket that is connected once more, the connection before is no more.
    Counted::of(place).close();
    // SAFETY: the storage is this socket's, whose connect() is under way and runs only once.
    told.fill(unsafe { &mut *place }, outcomes::unsent(told.phase));
}

/// The record of the MPTCP socket that a TCP socket is a subflow of. What becomes of the first one is
/// what becomes of the connection: those that join it later find that it is established.
#[inline(always)]
pub fn of_subflow(ops: *mut bpf_sock_ops) -> Option<*mut Flow> {
    if !settings::has_mptcp() {
        return None;
    }
    // SAFETY: the context is valid for the whole program, and this field of the union is the only
    // one that is not padding.
    let socket: *mut c_void =
        unsafe { ptr::read_volatile(&raw const (*ops).__bindgen_anon_2.sk).cast() };
    if socket.is_null() {
        return None;
    }
    // SAFETY: the helper takes a socket, and gives null for any other kind.
    let owner = unsafe { bpf_skc_to_mptcp_sock(socket) };
    if owner.is_null() {
        return None;
    }
    let place = storage(owner.cast(), 0);
    (!place.is_null()).then_some(place)
}

/// The Service address and port that an MPTCP socket asked for.
#[inline(always)]
pub fn service<F: Family>(
    caller: &Caller<F>,
    peer: &Address,
    peer_port: u16,
) -> Option<(Address, u16)> {
    let socket = caller.socket();
    if socket.is_null() {
        return None;
    }
    let place = storage(socket, 0);
    if place.is_null() {
        return None;
    }
    // SAFETY: not null, and of this socket.
    asked(unsafe { &*place }, peer, peer_port)
}

/// Counts an MPTCP socket out that is being closed; its record goes with it.
#[inline(always)]
pub fn release(ctx: &SockContext) {
    if settings::has_mptcp() && flows::protocol(ctx) == IPPROTO_MPTCP {
        release_mptcp(ctx);
    }
}

#[cold]
#[inline(never)]
fn release_mptcp(ctx: &SockContext) {
    let place = storage(ctx.as_ptr(), 0);
    if place.is_null() {
        return;
    }
    outcomes::ended(place, ctx);
    // The record stays for as long as the subflows do, whose states go on changing.
    outcomes::set_phase(place, 0);
    Counted::of(place).close();
}
