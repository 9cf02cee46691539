//! The records of backends, as far as the kernel's programs change them.
//!
//! A state changes by compare-and-swap of the word that has the incarnation too, so that a record
//! that was given to another Pod meanwhile is left alone. Whoever makes the change writes what
//! belongs to it.

use core::{intrinsics, ptr};

use aya_ebpf::helpers::bpf_ktime_get_ns;
use etm_abi::{Backend, Flow, HealthPolicy, with_state};

use crate::maps;

/// Of additions whose result is used: relaxed ones are compiled to an instruction that gives none.
pub const FETCHED: intrinsics::AtomicOrdering = intrinsics::AtomicOrdering::SeqCst;

/// The clock that records are in.
#[inline(always)]
pub fn now() -> u64 {
    // SAFETY: the helper takes nothing.
    unsafe { bpf_ktime_get_ns() }
}

/// The record of a backend.
#[inline(always)]
pub fn record(id: u32) -> Option<*mut Backend> {
    maps::BACKENDS.get_ptr_mut(id)
}

/// The word of a record with its state. Volatile, since others write it.
#[inline(always)]
pub fn word(pod: *mut Backend) -> u64 {
    // SAFETY: the aligned word of an element of BACKENDS that begins with the port.
    unsafe { ptr::read_volatile((&raw const (*pod).port).cast::<u64>()) }
}

/// Changes the state, unless anything about the record has changed meanwhile.
#[inline(always)]
pub fn change(pod: *mut Backend, seen: u64, state: u8) -> bool {
    use intrinsics::AtomicOrdering::SeqCst;
    // SAFETY: as in `word`.
    let found = unsafe {
        intrinsics::atomic_cxchg::<u64, { SeqCst }, { SeqCst }>(
            (&raw mut (*pod).port).cast::<u64>(),
            seen,
            with_state(seen, state),
        )
        .0
    };
    found == seen
}

macro_rules! access {
    ($get:ident, $set:ident, $field:ident, $type:ty) => {
        #[inline(always)]
        pub fn $get(pod: *mut Backend) -> $type {
            // SAFETY: a field of an element of BACKENDS; volatile, since others write it.
            unsafe { ptr::read_volatile(&raw const (*pod).$field) }
        }

        #[inline(always)]
        pub fn $set(pod: *mut Backend, value: $type) {
            // SAFETY: as above.
            unsafe { ptr::write_volatile(&raw mut (*pod).$field, value) };
        }
    };
}
access!(failures, set_failures, failures, u32);
access!(caller, set_caller, caller, u32);
access!(others, set_others, others, u32);
access!(times, set_times, times, u16);
access!(successes, set_successes, successes, u16);
access!(until, set_until, until, u64);
access!(resets, set_resets, resets, u32);
access!(watched, set_watched, watched, u8);

/// Milliseconds after which a UDP flow without a reply has failed; 0 where none is expected.
#[inline(always)]
pub fn reply_timeout(pod: *mut Backend) -> u32 {
    // SAFETY: a field of an element of BACKENDS; volatile, since the agent writes it.
    unsafe { ptr::read_volatile(&raw const (*pod).reply_timeout) }
}

/// Another number each time that the record is given to a Pod.
#[inline(always)]
pub fn incarnation(pod: *mut Backend) -> u32 {
    (word(pod) >> 32) as u32
}

/// Whether the record is still of the Pod that a flow was given.
#[inline(always)]
pub fn is_of(pod: *mut Backend, flow: *mut Flow) -> bool {
    // SAFETY: elements of maps.
    unsafe { (*pod).address == (*flow).peer && (*pod).port == (*flow).peer_port }
}

/// The policy by which a backend is judged.
#[inline(always)]
pub fn policy(pod: *mut Backend) -> Option<HealthPolicy> {
    // SAFETY: an element of BACKENDS; the agent may be writing it.
    let index = unsafe { ptr::read_volatile(&raw const (*pod).policy) };
    maps::HEALTH.get(index as u32).copied()
}

/// Takes one out of its Service's share, where there is one.
#[inline(always)]
pub fn take(pod: *mut Backend) -> bool {
    let left = add(pod, u64::MAX) as i64;
    if left > 0 {
        return true;
    }
    give_back(pod);
    false
}

/// Puts it back.
#[inline(always)]
pub fn give_back(pod: *mut Backend) {
    add(pod, 1);
}

#[inline(always)]
fn add(pod: *mut Backend, difference: u64) -> u64 {
    // SAFETY: a field of an element of BACKENDS; the agent may be writing it.
    let index = unsafe { ptr::read_volatile(&raw const (*pod).budget) };
    let Some(budget) = maps::BUDGETS.get_ptr_mut(index) else { return 0 };
    // SAFETY: an element of the array, aligned to 8 bytes.
    unsafe { intrinsics::atomic_xadd::<u64, u64, FETCHED>(budget, difference) }
}
