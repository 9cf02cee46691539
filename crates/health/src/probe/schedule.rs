//! When which probe is due.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use etm_model::{Probe, ServicePortName, hash};

use super::Target;

/// Which targets there are, and when each is due: once in each of its intervals, always at the same
/// place in it, which its address decides. So they are spread over the interval, and none of it
/// drifts.
#[derive(Clone, Debug)]
pub struct Schedule {
    salt: Arc<str>,
    services: BTreeMap<Arc<ServicePortName>, Vec<Target>>,
    targets: BTreeMap<Target, Entry>,
    due: BTreeSet<(Duration, Target)>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// How many Services ask for it.
    services: u32,
    due: Duration,
}

impl Schedule {
    /// No targets. The salt is the node's name: nodes probe one Pod at different times.
    pub fn new(salt: impl Into<Arc<str>>) -> Self {
        Self {
            salt: salt.into(),
            services: BTreeMap::new(),
            targets: BTreeMap::new(),
            due: BTreeSet::new(),
        }
    }

    /// What a Service port asks for from now on; nothing where it is gone. A target that was there
    /// keeps its time, and one that several Services ask for is probed once.
    pub fn set(
        &mut self,
        now: Duration,
        service: &Arc<ServicePortName>,
        targets: BTreeSet<Target>,
    ) {
        for target in &targets {
            self.add(now, target);
        }
        let targets: Vec<_> = targets.into_iter().collect();
        let before = if targets.is_empty() {
            self.services.remove(service)
        } else {
            self.services.insert(Arc::clone(service), targets)
        };
        for target in before.into_iter().flatten() {
            self.remove(&target);
        }
    }

    /// Takes out a target that is due, and puts it to its next time; times that have passed
    /// altogether are left out.
    pub fn pop(&mut self, now: Duration) -> Option<Target> {
        if self.next()? > now {
            return None;
        }
        let (_, target) = self.due.pop_first()?;
        let due = self.after(now, &target);
        if let Some(entry) = self.targets.get_mut(&target) {
            entry.due = due;
            self.due.insert((due, target.clone()));
        }
        Some(target)
    }

    /// When the next one is due.
    #[must_use]
    pub fn next(&self) -> Option<Duration> {
        self.due.first().map(|(due, _)| *due)
    }

    /// How many targets there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.targets.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }

    fn add(&mut self, now: Duration, target: &Target) {
        if let Some(entry) = self.targets.get_mut(target) {
            entry.services += 1;
            return;
        }
        let due = self.after(now, target);
        self.targets.insert(target.clone(), Entry { services: 1, due });
        self.due.insert((due, target.clone()));
    }

    fn remove(&mut self, target: &Target) {
        let Some(entry) = self.targets.get_mut(target) else { return };
        entry.services -= 1;
        if entry.services == 0 {
            let due = entry.due;
            self.targets.remove(target);
            self.due.remove(&(due, target.clone()));
        }
    }

    /// The first moment after `now` that is a target's.
    fn after(&self, now: Duration, target: &Target) -> Duration {
        let interval = nanos(target.probe.interval.max(Probe::MIN_INTERVAL)).max(1);
        let name = format!("{} {} {}", self.salt, target.address, target.backend.protocol);
        let phase = hash(&name) % interval;
        let now = nanos(now);
        let into = now % interval;
        let wait = if into < phase { phase - into } else { interval - into + phase };
        Duration::from_nanos(now.saturating_add(wait))
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
