//! Callers that are kept from a backend with which they alone had failures.

use core::ptr;

use etm_abi::{Backend, FRONTEND_BALANCED, HealthPolicy, ShunnedKey, Target};
use etm_decide::{health::ejection, pick_other_than};

use crate::{
    context::{Caller, Family},
    maps,
    random::random,
    record::now,
    tables::Maps,
};

/// Keeps a caller away, and gives until when; none where that cannot be remembered.
#[inline(always)]
pub fn shun(
    id: u32,
    pod: *mut Backend,
    incarnation: u32,
    policy: &HealthPolicy,
    netns: u64,
) -> Option<u64> {
    let key = ShunnedKey { netns, backend: id, incarnation };
    let until = now().wrapping_add(ejection(policy, 1));
    maps::SHUNNED.insert(key, until, 0).ok()?;
    // SAFETY: a field of an element of BACKENDS; only ever set here.
    unsafe { ptr::write_volatile(&raw mut (*pod).shunned, 1) };
    Some(until)
}

/// The backend that a caller is sent to in place of one with which it alone had failures: another
/// one that takes connections, if a few draws find one, else the same, since then the fault is
/// with the caller.
#[inline(always)]
pub fn instead_of_shunned<F: Family>(caller: &Caller<F>, target: Target, id: u32) -> u32 {
    etm_instead_of_shunned(caller.netns(), target.0, id as u64) as u32
}

/// Global, so that the verifier looks at it once.
// SAFETY: no other symbol has the name.
#[unsafe(no_mangle)]
#[cold]
#[inline(never)]
extern "C" fn etm_instead_of_shunned(netns: u64, target: u64, id: u64) -> u64 {
    let (target, id) = (Target(target), id as u32);
    let now = now();
    if !is_shunned(netns, id, now) {
        return id as u64;
    }
    // Where callers stay with a Pod they also stay with the one that takes its place.
    let balanced = target.flags() & FRONTEND_BALANCED != 0;
    let seed = if balanced { netns as u32 ^ id } else { random() };
    pick_other_than(&Maps, target, id, seed, |other| !is_shunned(netns, other, now)).unwrap_or(id)
        as u64
}

/// Whether a caller is kept from a backend.
#[inline(always)]
pub fn is_shunned(netns: u64, id: u32, now: u64) -> bool {
    let Some(pod) = maps::BACKENDS.get(id) else { return false };
    if pod.shunned == 0 {
        return false;
    }
    let key = ShunnedKey { netns, backend: id, incarnation: pod.incarnation };
    // SAFETY: the value is copied at once.
    unsafe { maps::SHUNNED.get(key) }.is_some_and(|until| *until > now)
}
