//! What is to be told of backends, for people.

use std::{sync::Arc, time::Duration};

use etm_model::BackendKey;

use super::Tracker;
use crate::{
    backend::Backend,
    passive::Phase,
    verdict::{Held, Spared, State, Verdict},
};

impl Tracker {
    /// The verdict of a backend, as it was when changes were last asked for.
    #[must_use]
    pub fn verdict(&self, now: Duration, backend: &BackendKey) -> Option<Verdict> {
        let (key, backend) = self.backends.get_key_value(backend)?;
        Some(self.tell(now.max(self.now), *key, backend))
    }

    /// The verdicts of all backends that are not simply healthy, in order.
    pub fn ejections(&self, now: Duration) -> impl Iterator<Item = Verdict> {
        let now = now.max(self.now);
        let unwell = self.backends.iter().filter(move |(_, backend)| {
            (backend.trouble.is_some() || backend.window.is_some())
                && backend.state(now) != State::Healthy
        });
        unwell.map(move |(key, backend)| self.tell(now, *key, backend))
    }

    fn tell(&self, now: Duration, key: BackendKey, backend: &Backend) -> Verdict {
        let trouble = backend.trouble.as_deref();
        let state = backend.state(now);
        let reasons = backend.reasons(now).into_iter();
        let reasons =
            reasons.map(|(reason, since)| Held { reason, since: now.saturating_sub(since) });
        let reasons: Vec<_> = reasons.collect();
        let phase = trouble.map(|trouble| trouble.passive.phase);
        let returns = match phase {
            Some(Phase::Ejected { until, .. })
                if matches!(backend.record(), crate::change::Record::Ejected { .. }) =>
            {
                Some(until.saturating_sub(now))
            }
            _ => None,
        };
        let successes = match phase {
            Some(Phase::Probation { successes, .. }) => successes,
            _ => 0,
        };
        let spared =
            trouble.and_then(|trouble| self.pools.get(&trouble.spared?)).map(|pool| Spared {
                service: Arc::clone(&pool.service),
                max_ejected_percent: pool.share,
                allowed: pool.allowed(),
                members: pool.members,
            });
        Verdict {
            backend: key,
            pod: backend.pod.clone(),
            node: backend.node.clone(),
            services: backend.services.clone(),
            state,
            since: reasons.first().map(|held| held.since),
            reasons,
            returns,
            times: trouble.map_or(0, |trouble| trouble.passive.times),
            successes,
            spared,
        }
    }
}
