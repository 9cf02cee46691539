//! What follows from how connections end.

use etm_abi::{BACKEND_AVAILABLE, BACKEND_EJECTED, HealthPolicy, MAX_TIMES};

/// Nanoseconds in a millisecond.
const MILLISECOND: u64 = 1_000_000;

/// What a failure leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consequence {
    /// Nothing yet.
    None,
    /// The caller that had all of them is sent elsewhere for a while, nobody else.
    Shun,
    /// The backend is out for everybody.
    Eject,
}

/// Failures in a row, and who had them.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// How many.
    pub failures: u32,
    /// What others had of them than who had the first: [`WEAK`] or [`FIRM`] for each.
    pub others: u32,
    /// Whether who had the last also had the first.
    pub by_first: bool,
}

/// What a connection without an answer says of a backend: a packet may have been lost on the way.
pub const WEAK: u32 = 1;
/// What a connection that was refused or reset says.
pub const FIRM: u32 = 2;

/// What a row of failures leads to. One caller that fails alone may be at fault itself: that of a
/// `NetworkPolicy`, or its own limits.
#[inline(always)]
#[must_use]
pub const fn consequence(policy: &HealthPolicy, row: Row) -> Consequence {
    let limit = policy.failures;
    if limit == 0 || row.failures < limit {
        return Consequence::None;
    }
    if row.others >= FIRM {
        return Consequence::Eject;
    }
    if row.by_first && row.failures >= limit.saturating_add(row.others) {
        return Consequence::Shun;
    }
    Consequence::None
}

/// Nanoseconds that an ejection lasts which is a backend's `times`th of late, as Envoy has it: the
/// base time as often (`outlier_detection.proto`, `base_ejection_time`).
#[inline(always)]
#[must_use]
pub const fn ejection(policy: &HealthPolicy, times: u16) -> u64 {
    let times = if times > MAX_TIMES { MAX_TIMES } else { times };
    let time = policy.ejection as u64 * times as u64;
    let most = policy.max_ejection as u64;
    (if time > most { most } else { time }) * MILLISECOND
}

/// Nanoseconds between two connections on probation.
#[inline(always)]
#[must_use]
pub const fn pause(policy: &HealthPolicy) -> u64 {
    policy.probation as u64 * MILLISECOND
}

/// Whether new connections may be sent to a backend of a state: one that is ejected takes one when
/// its time is over.
#[inline(always)]
#[must_use]
pub const fn takes(state: u8, until: u64, now: u64) -> bool {
    state == BACKEND_AVAILABLE || (state == BACKEND_EJECTED && until != 0 && until <= now)
}
