//! When a candidate may hold a Lease; pure.
//!
//! As in Kubernetes' own `client-go/tools/leaderelection`: clocks of different machines are never
//! compared. A Lease runs out once it has not changed for its duration by the clock of who looks at
//! it, and whoever holds it stops earlier than that by its own.

use std::time::{Duration, Instant};

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
    jiff::Timestamp,
};

/// For how long others leave the Lease alone after each renewal.
pub(crate) const DURATION: Duration = Duration::from_secs(15);
/// For how long its holder counts as such after it asked for a renewal that was granted: the rest is
/// for a clock that runs slower than those of others.
pub(crate) const HELD: Duration = Duration::from_secs(10);

/// One who wants to hold a Lease, and what it has seen of it.
#[derive(Debug)]
pub(crate) struct Candidate {
    name: String,
    namespace: String,
    identity: String,
    /// The Lease as it was last seen, and since when it is so.
    seen: Option<(Lease, Instant)>,
    until: Option<Instant>,
}

/// What a candidate is to ask of the API server.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    /// To make the Lease; who else does it first has it.
    Create(Box<Lease>),
    /// To replace the version of it that was seen; who else does it first has it.
    Replace(Box<Lease>),
    /// Nothing: another one holds it.
    Wait,
}

impl Candidate {
    /// `identity` is to be of this process alone: one that starts anew is another candidate.
    pub(crate) fn new(namespace: &str, name: &str, identity: String) -> Self {
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        Self { name, namespace, identity, seen: None, until: None }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Until when it may act as the holder.
    pub(crate) fn until(&self) -> Option<Instant> {
        self.until
    }

    /// Who holds the Lease as it was last seen.
    pub(crate) fn holder(&self) -> Option<&str> {
        let spec = self.seen.as_ref()?.0.spec.as_ref()?;
        spec.holder_identity.as_deref().filter(|holder| !holder.is_empty())
    }

    /// Whether it holds the Lease as that was last seen, so that it need not look again.
    pub(crate) fn is_holder(&self) -> bool {
        self.holder() == Some(&self.identity)
    }

    /// Takes note of the Lease as it is now, or that there is none.
    pub(crate) fn see(&mut self, lease: Option<Lease>, now: Instant) {
        self.seen = match (lease, self.seen.take()) {
            (Some(lease), Some((before, since)))
                if version(&lease) == version(&before) && version(&lease).is_some() =>
            {
                Some((before, since))
            }
            (Some(lease), _) => Some((lease, now)),
            (None, _) => None,
        };
        if !self.is_holder() {
            self.until = None;
        }
    }

    /// What to ask for. `time` is what others are shown.
    pub(crate) fn step(&self, now: Instant, time: Timestamp) -> Step {
        let Some((lease, since)) = &self.seen else {
            let metadata = ObjectMeta {
                name: Some(self.name.clone()),
                namespace: Some(self.namespace.clone()),
                ..ObjectMeta::default()
            };
            let spec = Some(self.taken(None, time));
            return Step::Create(Box::new(Lease { metadata, spec }));
        };
        if !self.is_holder() && self.holder().is_some() && now < *since + duration(lease) {
            return Step::Wait;
        }
        // With the version that was seen in its metadata, so that it replaces no other.
        let spec = Some(self.taken(lease.spec.as_ref(), time));
        Step::Replace(Box::new(Lease { metadata: lease.metadata.clone(), spec }))
    }

    /// Takes note that a step was granted, which was asked for at a moment: no other may have had
    /// the Lease since.
    pub(crate) fn granted(&mut self, lease: Lease, asked: Instant) {
        self.seen = Some((lease, asked));
        self.until = self.is_holder().then(|| asked + HELD);
    }

    /// Takes note that a step was refused, so that another one may have the Lease.
    pub(crate) fn doubt(&mut self) {
        self.until = None;
    }

    /// The Lease without a holder, where this is the one: the next need not wait.
    pub(crate) fn release(&mut self, time: Timestamp) -> Option<Lease> {
        let held = self.is_holder();
        self.until = None;
        let (mut lease, _) = self.seen.take().filter(|_| held)?;
        let spec = lease.spec.get_or_insert_default();
        spec.holder_identity = Some(String::new());
        spec.lease_duration_seconds = Some(1);
        spec.renew_time = Some(MicroTime(time));
        Some(lease)
    }

    fn taken(&self, before: Option<&LeaseSpec>, time: Timestamp) -> LeaseSpec {
        let mut spec = before.cloned().unwrap_or_default();
        if spec.holder_identity.as_deref() != Some(&self.identity) {
            spec.acquire_time = Some(MicroTime(time));
            let transitions = spec.lease_transitions.map_or(0, |count| count.saturating_add(1));
            spec.lease_transitions = Some(transitions);
        }
        spec.holder_identity = Some(self.identity.clone());
        spec.lease_duration_seconds = i32::try_from(DURATION.as_secs()).ok();
        spec.renew_time = Some(MicroTime(time));
        spec
    }
}

fn version(lease: &Lease) -> Option<&str> {
    lease.metadata.resource_version.as_deref()
}

/// How long its holder asked to be left alone; where it does not say, as long as this one would.
fn duration(lease: &Lease) -> Duration {
    let seconds = lease.spec.as_ref().and_then(|spec| spec.lease_duration_seconds);
    let seconds = seconds.and_then(|seconds| u64::try_from(seconds).ok());
    seconds.map_or(DURATION, Duration::from_secs)
}

#[cfg(test)]
mod tests;
