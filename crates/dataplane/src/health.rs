//! What the kernel knows of its backends' health, and what it is told of it.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use etm_abi::{BACKEND_EJECTED, Backend, HealthPolicy, Outcomes, state_of, with_state};

use rustix::time::{ClockId, clock_gettime};

use crate::{
    dataplane::Dataplane,
    error::MapError,
    maps::{Ejections, Reason},
};

/// Words of a record of `BACKENDS`: see [`Backend`].
const STATE: usize = 2;
const OWNED: usize = 3;
const COUNTS: usize = 5;
const UNTIL: usize = 6;
const REPLIES: usize = 7;

impl Dataplane {
    /// Writes one of the policies that records name; `false` where there is no such place.
    pub fn set_health_policy(&mut self, index: u16, policy: HealthPolicy) -> bool {
        self.maps.health.set(u32::from(index), policy)
    }

    /// Says after how many milliseconds a UDP flow to a backend without a reply has failed; 0 where
    /// none is expected.
    pub fn set_reply_timeout(&mut self, id: u32, timeout: u32) {
        let Some(word) = self.word(id, REPLIES) else { return };
        // The lower bits are the kernel's.
        let _ = word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |word| {
            Some(word & 0xffff_ffff | u64::from(timeout) << 32)
        });
    }

    /// Says by which policy a backend is judged, and out of which Service's share it is taken;
    /// nothing where there is no such backend.
    pub fn set_judged_by(&mut self, id: u32, policy: u16, budget: u32) {
        let Some(word) = self.word(id, OWNED) else { return };
        let owned = u64::from(budget) | u64::from(policy) << 32;
        // The upper bits count ejections, also while this is written.
        let _ = word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |word| {
            Some(word & !0xffff_ffff_ffff | owned)
        });
    }

    /// How often a backend was ejected lately; the kernel counts on from it.
    pub fn set_times(&mut self, id: u32, times: u16) {
        let Some(word) = self.word(id, OWNED) else { return };
        let _ = word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |word| {
            Some(word & 0xffff_ffff_ffff | u64::from(times) << 48)
        });
    }

    /// Changes the state of a backend from one that was seen; `false`, and nothing changed, where
    /// it has another one by now. `until` counts for [`BACKEND_EJECTED`], in nanoseconds of
    /// `CLOCK_MONOTONIC`.
    pub fn set_state(&mut self, id: u32, seen: &Backend, state: u8, until: u64) -> bool {
        let Some(word) = self.word(id, STATE) else { return false };
        let expected = seen.word();
        let new = with_state(expected, state);
        if word.compare_exchange(expected, new, Ordering::SeqCst, Ordering::SeqCst).is_err() {
            return false;
        }
        let until = if state == BACKEND_EJECTED { until } else { 0 };
        if let Some(word) = self.word(id, COUNTS) {
            // Successes of a probation before this one.
            word.fetch_and(!(0xffff << 32), Ordering::Relaxed);
        }
        if let Some(word) = self.word(id, UNTIL) {
            word.store(until, Ordering::Release);
        }
        true
    }

    /// How many more members of a Service port the kernel may eject by itself, below zero where
    /// it has taken out more than it may now.
    #[must_use]
    pub fn budget(&self, service: u32) -> i64 {
        self.maps.budgets.get(service).unwrap_or_default().cast_signed()
    }

    /// Adds to that number; not written as a whole, since the kernel counts at the same time.
    pub fn add_to_budget(&mut self, service: u32, difference: i64) {
        if let Some([word]) = self.maps.budgets.words(service) {
            word.fetch_add(difference.cast_unsigned(), Ordering::Relaxed);
        }
    }

    /// The record of a backend.
    #[must_use]
    pub fn backend(&self, id: u32) -> Option<Backend> {
        self.maps.backends.get(id)
    }

    /// What became of the connections to a backend.
    #[must_use]
    pub fn outcomes(&self, id: u32) -> Option<Outcomes> {
        self.maps.outcomes.get(id)
    }

    /// Writes what speaks against a backend, or with none that nothing does.
    ///
    /// # Errors
    ///
    /// Where the map is full or cannot be written.
    pub fn set_reason(&mut self, id: u32, reason: Option<&Reason>) -> Result<(), MapError> {
        self.maps.reasons.set(id, reason)
    }

    /// What speaks against each backend, by its id.
    ///
    /// # Errors
    ///
    /// Where the map cannot be read.
    pub fn reasons(&self) -> Result<BTreeMap<u32, Reason>, MapError> {
        self.maps.reasons.all()
    }

    /// The stream of ejections and returns.
    ///
    /// # Errors
    ///
    /// Where the ring buffer cannot be mapped.
    pub fn ejections(&self) -> Result<Ejections, MapError> {
        Ejections::open(self.set())
    }

    fn word(&self, id: u32, word: usize) -> Option<&AtomicU64> {
        self.maps.backends.words(id)?.get(word)
    }
}

/// The clock that records and events of health are in: `CLOCK_MONOTONIC`, as
/// `bpf_ktime_get_ns` reads it.
#[must_use]
pub fn monotonic() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or_default())
}

/// Whether new connections may be sent to a record's backend at a time of `CLOCK_MONOTONIC`.
#[must_use]
pub(crate) fn takes(backend: &Backend, now: u64) -> bool {
    etm_decide::health::takes(state_of(backend.word()), backend.until, now)
}
