//! What the results of one probe come to.

use std::time::Duration;

use etm_model::Probe;

use crate::signal::ProbeFailure;

/// Results of one probe in a row, since the first that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Streak {
    /// Failures in a row, and those before it as long as the backend is out.
    pub(crate) failures: u32,
    successes: u8,
    pub(crate) last: ProbeFailure,
    /// Since the first failure; once it counts, since it does.
    pub(crate) since: Duration,
    /// It failed often enough, and has not succeeded often enough since.
    pub(crate) counts: bool,
}

impl Streak {
    /// A streak that starts with a failure.
    pub(crate) fn new(now: Duration, failure: ProbeFailure, probe: &Probe) -> Self {
        let mut streak =
            Self { failures: 0, successes: 0, last: failure.clone(), since: now, counts: false };
        streak.fail(now, failure, probe);
        streak
    }

    /// Takes a failure in.
    pub(crate) fn fail(&mut self, now: Duration, failure: ProbeFailure, probe: &Probe) {
        self.successes = 0;
        self.failures = self.failures.saturating_add(1);
        self.last = failure;
        if !self.counts && self.failures >= u32::from(probe.unhealthy_threshold) {
            self.counts = true;
            self.since = now;
        }
    }

    /// Takes a success in; whether nothing is left to be told.
    pub(crate) fn pass(&mut self, probe: &Probe) -> bool {
        self.successes = self.successes.saturating_add(1);
        !self.counts || self.successes >= probe.healthy_threshold
    }
}
