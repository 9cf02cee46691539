//! Backends are taken out of service and let back, in place. The counts of failures are estimates
//! where several CPUs count at once.

use core::intrinsics;

use etm_abi::{
    BACKEND_AVAILABLE, BACKEND_EJECTED, Backend, Ejection, Failure, Flow, Happened, HealthPolicy,
    state_of,
};
use etm_decide::health::{Consequence, FIRM, Row, WEAK, consequence, ejection, pause};

use crate::{
    attention, maps,
    record::{
        FETCHED, caller, change, failures, give_back, is_of, now, others, policy, record, resets,
        set_caller, set_failures, set_others, set_resets, set_successes, set_times, set_until,
        set_watched, successes, take, times, until, watched, word,
    },
    shun::{is_shunned, shun},
};

/// Whether a connection whose SYN was repeated so often counts as failed.
#[inline(always)]
pub fn is_late(id: u32, repeated: u32) -> bool {
    let Some(pod) = record(id) else { return false };
    policy(pod).is_some_and(|policy| {
        policy.syn_retransmits != 0 && repeated >= policy.syn_retransmits as u32
    })
}

/// Connections that are looked at closely after one that ended badly.
const WATCHED: u8 = 32;

/// Whether the next connection is to be looked at closely.
#[inline(always)]
pub fn watches(id: u32) -> bool {
    let Some(pod) = record(id) else { return false };
    let left = watched(pod);
    if left == 0 {
        return false;
    }
    set_watched(pod, left - 1);
    true
}

/// Has the next connections looked at closely.
#[inline(always)]
pub fn watch(id: u32) {
    if let Some(pod) = record(id) {
        set_watched(pod, WATCHED);
        attention::call();
    }
}

/// A connection was established.
#[inline(always)]
pub fn succeeded(id: u32, flow: *mut Flow) {
    let Some(pod) = record(id) else { return };
    if is_telling(pod) && resets(pod) == 0 && is_of(pod, flow) {
        succeeded_again(id, pod);
    }
}

/// A Pod has replied over UDP.
#[inline(always)]
pub fn replied(id: u32, pod: *mut Backend) {
    if is_telling(pod) {
        succeeded_again(id, pod);
    }
}

/// Whether a success changes anything.
#[inline(always)]
fn is_telling(pod: *mut Backend) -> bool {
    failures(pod) != 0 || state_of(word(pod)) == BACKEND_EJECTED
}

/// A connection that was looked at closely ended well.
#[inline(always)]
pub fn ended_well(id: u32, flow: *mut Flow) {
    let Some(pod) = record(id) else { return };
    if resets(pod) != 0 && is_of(pod, flow) {
        succeeded_again(id, pod);
    }
}

#[cold]
#[inline(never)]
fn succeeded_again(id: u32, pod: *mut Backend) {
    set_failures(pod, 0);
    set_others(pod, 0);
    set_resets(pod, 0);
    let seen = word(pod);
    let Some(policy) = policy(pod) else { return };
    // On probation there was one connection; before that, none that began after the ejection.
    if state_of(seen) != BACKEND_EJECTED || !is_on_probation(pod) {
        return;
    }
    let successes = successes(pod).saturating_add(1);
    set_successes(pod, successes);
    if successes <= policy.successes {
        return;
    }
    if change(pod, seen, BACKEND_AVAILABLE) {
        set_until(pod, 0);
        give_back(pod);
        let what = Ended { what: Happened::Returned, failure: 0, netns: 0, until: 0 };
        tell(id, pod, seen, &what);
    }
}

/// What the agent is told.
struct Ended {
    what: Happened,
    failure: u32,
    netns: u64,
    until: u64,
}

/// 1 in [`Backend::successes`] says that the first connection on probation was let through.
#[inline(always)]
fn is_on_probation(pod: *mut Backend) -> bool {
    successes(pod) != 0
}

/// A connection failed.
#[inline(always)]
pub fn failed(id: u32, flow: *mut Flow, netns: u64, failure: Failure) {
    let Some(pod) = record(id) else { return };
    if is_of(pod, flow) {
        failed_of(id, pod, netns, failure);
    }
}

/// A connection to the Pod of a record failed, or a flow over UDP.
#[cold]
#[inline(never)]
pub fn failed_of(id: u32, pod: *mut Backend, netns: u64, failure: Failure) {
    set_watched(pod, WATCHED);
    attention::call();
    set_resets(pod, (failure == Failure::Reset) as u32);
    let Some(policy) = policy(pod) else { return };
    let row = enter(pod, netns, if failure == Failure::TimedOut { WEAK } else { FIRM });
    let seen = word(pod);
    match state_of(seen) {
        BACKEND_EJECTED if is_on_probation(pod) => {
            let until = put_out(pod, &policy);
            let what = Happened::EjectedAgain;
            tell(id, pod, seen, &Ended { what, failure: failure as u32, netns, until });
        }
        BACKEND_AVAILABLE => match consequence(&policy, row) {
            Consequence::None => {}
            Consequence::Shun => {
                // Once is enough. The row stays, so that the next caller's failure ejects.
                if is_shunned(netns, id, now()) {
                    return;
                }
                let incarnation = (seen >> 32) as u32;
                let Some(until) = shun(id, pod, incarnation, &policy, netns) else { return };
                let (what, failure) = (Happened::Shunned, failure as u32);
                tell(id, pod, seen, &Ended { what, failure, netns, until });
            }
            Consequence::Eject => eject(id, pod, seen, &policy, netns, failure),
        },
        _ => {}
    }
}

/// Counts a failure.
#[inline(always)]
fn enter(pod: *mut Backend, netns: u64, says: u32) -> Row {
    let own = (netns.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32 | 1;
    // SAFETY: a field of an element of BACKENDS, aligned to 4 bytes.
    let before =
        unsafe { intrinsics::atomic_xadd::<u32, u32, FETCHED>(&raw mut (*pod).failures, 1) };
    if before == 0 {
        set_caller(pod, own);
        set_others(pod, 0);
    }
    let by_first = caller(pod) == own;
    if !by_first {
        set_others(pod, others(pod).saturating_add(says));
    }
    Row { failures: before.wrapping_add(1), others: others(pod), by_first }
}

/// Ejects for longer than the time before, and gives until when.
#[inline(always)]
fn put_out(pod: *mut Backend, policy: &HealthPolicy) -> u64 {
    let times = times(pod).saturating_add(1);
    set_times(pod, times);
    set_successes(pod, 0);
    let until = now().wrapping_add(ejection(policy, times));
    set_until(pod, until);
    until
}

#[inline(always)]
fn eject(
    id: u32,
    pod: *mut Backend,
    seen: u64,
    policy: &HealthPolicy,
    netns: u64,
    failure: Failure,
) {
    let failure = failure as u32;
    if !take(pod) {
        tell(id, pod, seen, &Ended { what: Happened::Spared, failure, netns, until: 0 });
        // The row begins anew, so that this is not told with every failure.
        set_failures(pod, 0);
        return;
    }
    if !change(pod, seen, BACKEND_EJECTED) {
        give_back(pod);
        return;
    }
    let until = put_out(pod, policy);
    tell(id, pod, seen, &Ended { what: Happened::Ejected, failure, netns, until });
}

#[inline(always)]
fn tell(id: u32, pod: *mut Backend, seen: u64, ended: &Ended) {
    let Some(mut entry) = maps::EJECTIONS.reserve(0) else { return };
    entry.write(Ejection {
        time: now(),
        until: ended.until,
        netns: ended.netns,
        backend: id,
        incarnation: (seen >> 32) as u32,
        what: ended.what as u32,
        failure: ended.failure,
        failures: failures(pod),
        others: others(pod),
    });
    entry.submit(0);
}

/// Whether a backend that is not available is ejected, and may take a connection by now.
#[inline(always)]
pub fn is_due(pod: &Backend) -> bool {
    pod.state == BACKEND_EJECTED && pod.until != 0 && pod.until <= now()
}

/// A connection is sent to a backend that is not available: the next one is not before the pause
/// is over. Where two are sent at once, two are let through.
#[cold]
#[inline(never)]
pub fn begin_probation(id: u32) {
    let Some(pod) = record(id) else { return };
    let Some(policy) = policy(pod) else { return };
    let due = until(pod);
    if state_of(word(pod)) != BACKEND_EJECTED || due == 0 || due > now() {
        return;
    }
    use intrinsics::AtomicOrdering::SeqCst;
    // SAFETY: a field of an element of BACKENDS, aligned to 8 bytes.
    let found = unsafe {
        intrinsics::atomic_cxchg::<u64, { SeqCst }, { SeqCst }>(
            &raw mut (*pod).until,
            due,
            now().wrapping_add(pause(&policy)),
        )
        .0
    };
    if found == due && !is_on_probation(pod) {
        set_successes(pod, 1);
    }
}
