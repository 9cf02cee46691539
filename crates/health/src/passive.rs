//! What a backend's connections have led to: failing, ejected, in probation.

use std::time::Duration;

use etm_model::HealthPolicy;

use crate::reason::Why;

/// Where a backend is on its way out and back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Its connections say nothing against it.
    Good,
    /// It is to be ejected, and is not: there is no room, or it has not been looked for yet.
    Failing {
        /// Then it has got over it.
        expires: Duration,
        why: Why,
        /// It was ejected for this already, until `expires`, and gave its place to a surer case.
        counted: bool,
    },
    /// It is ejected.
    Ejected { until: Duration, why: Why },
    /// Its time is over, and the kernel lets one connection in a while through.
    Probation { until: Duration, why: Why, successes: u8 },
}

/// What a backend's connections have led to, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Passive {
    pub(crate) phase: Phase,
    /// Since when it is not good: probation that fails goes on with it.
    pub(crate) first: Duration,
    /// Ejections that count.
    pub(crate) times: u32,
    /// From when on its good behaviour counts.
    good: Duration,
}

impl Passive {
    pub(crate) const fn new() -> Self {
        Self { phase: Phase::Good, first: Duration::ZERO, times: 0, good: Duration::ZERO }
    }

    /// What speaks against it.
    pub(crate) const fn why(&self) -> Option<Why> {
        match self.phase {
            Phase::Good => None,
            Phase::Failing { why, .. }
            | Phase::Ejected { why, .. }
            | Phase::Probation { why, .. } => Some(why),
        }
    }

    /// It failed as much as is enough to eject it.
    pub(crate) fn fail(&mut self, now: Duration, why: Why, policy: &HealthPolicy) {
        match self.phase {
            Phase::Good => self.first = now,
            Phase::Failing { counted: false, .. } => {}
            Phase::Failing { .. } | Phase::Ejected { .. } | Phase::Probation { .. } => return,
        }
        let times = self.times.saturating_add(1).min(most(policy));
        let expires = now.saturating_add(span(times, policy));
        self.phase = Phase::Failing { expires, why, counted: false };
    }

    /// There is room to eject it.
    pub(crate) fn eject(&mut self, now: Duration, policy: &HealthPolicy) {
        let Phase::Failing { expires, why, counted } = self.phase else { return };
        let mut until = expires;
        if !counted {
            self.times = self.times.saturating_add(1).min(most(policy));
            until = now.saturating_add(span(self.times, policy));
        }
        self.phase = Phase::Ejected { until, why };
    }

    /// There is no room for it.
    pub(crate) fn spare(&mut self, now: Duration) {
        match self.phase {
            Phase::Ejected { until, why } => {
                self.phase = Phase::Failing { expires: until, why, counted: true };
            }
            Phase::Probation { .. } => self.recover(now),
            Phase::Good | Phase::Failing { .. } => {}
        }
    }

    /// The kernel ejected it, for so long and the so-many-th time.
    pub(crate) fn ejected(
        &mut self,
        now: Duration,
        why: Why,
        (until, times): (Duration, u32),
        policy: &HealthPolicy,
    ) {
        if self.phase == Phase::Good {
            self.first = now;
        }
        self.times = times.clamp(1, most(policy));
        let longest = now.saturating_add(policy.max_ejection_time);
        self.phase = Phase::Ejected { until: until.min(longest), why };
    }

    /// A connection that was let through in probation succeeded.
    pub(crate) fn pass(&mut self, now: Duration, policy: &HealthPolicy) {
        self.expire(now);
        if let Phase::Probation { successes, .. } = &mut self.phase {
            *successes = successes.saturating_add(1);
            if *successes >= policy.probation.successes {
                self.recover(now);
            }
        }
    }

    /// A connection that was let through in probation failed: the kernel ejects it again.
    pub(crate) fn relapse(&mut self, now: Duration, policy: &HealthPolicy) {
        self.expire(now);
        let Phase::Probation { why, .. } = self.phase else { return };
        self.times = self.times.saturating_add(1).min(most(policy));
        self.phase = Phase::Ejected { until: now.saturating_add(span(self.times, policy)), why };
    }

    /// Successes before this do not bring it back.
    pub(crate) fn start_over(&mut self) {
        if let Phase::Probation { successes, .. } = &mut self.phase {
            *successes = 0;
        }
    }

    /// It is as good as any.
    pub(crate) fn recover(&mut self, now: Duration) {
        if self.phase != Phase::Good {
            self.phase = Phase::Good;
            self.good = now;
        }
    }

    /// What the agent that ran before knew.
    pub(crate) fn adopt(&mut self, now: Duration, times: u32, until: Option<Duration>) {
        (self.times, self.good, self.first) = (times, now, now);
        self.phase = until.map_or(Phase::Good, |until| Phase::Ejected { until, why: Why::Before });
    }

    /// Another policy counts from now on.
    pub(crate) fn limit(&mut self, now: Duration, policy: &HealthPolicy) {
        self.times = self.times.min(most(policy));
        let longest = now.saturating_add(policy.max_ejection_time);
        match &mut self.phase {
            Phase::Failing { expires: end, .. } | Phase::Ejected { until: end, .. } => {
                *end = longest.min(*end);
            }
            Phase::Good | Phase::Probation { .. } => {}
        }
    }

    /// When time alone changes something.
    pub(crate) fn due(&self, policy: &HealthPolicy) -> Option<Duration> {
        match self.phase {
            Phase::Good if self.times == 0 => None,
            Phase::Good => Some(self.good.saturating_add(policy.ejection_time)),
            Phase::Failing { expires, .. } => Some(expires),
            Phase::Ejected { until, .. } => Some(until),
            Phase::Probation { .. } => None,
        }
    }

    /// Does what time alone changes. The count becomes one less for each ejection time of good
    /// behaviour, as Envoy's does.
    pub(crate) fn tick(&mut self, now: Duration, policy: &HealthPolicy) {
        self.expire(now);
        let base = policy.ejection_time.max(Duration::from_nanos(1));
        while self.phase == Phase::Good && self.times > 0 && self.good.saturating_add(base) <= now {
            self.times -= 1;
            self.good += base;
        }
    }

    fn expire(&mut self, now: Duration) {
        match self.phase {
            Phase::Failing { expires, .. } if expires <= now => self.recover(now),
            Phase::Ejected { until, why } if until <= now => {
                self.phase = Phase::Probation { until, why, successes: 0 };
            }
            _ => {}
        }
    }
}

/// How long the so-many-th ejection lasts.
pub(crate) fn span(times: u32, policy: &HealthPolicy) -> Duration {
    policy.ejection_time.saturating_mul(times).min(policy.max_ejection_time)
}

/// The count from which on ejections do not get longer: it grows no further, so that it does not
/// take for ever to shrink.
pub(crate) fn most(policy: &HealthPolicy) -> u32 {
    let base = policy.ejection_time.as_nanos().max(1);
    let times = policy.max_ejection_time.as_nanos().div_ceil(base);
    u32::try_from(times).unwrap_or(u32::MAX).max(1)
}
