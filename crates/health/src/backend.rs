//! Everything that is known of one backend.

use std::{sync::Arc, time::Duration};

use etm_model::{HealthPolicy, ObjectName, ServicePortName};

use crate::{
    change::Record,
    passive::{Passive, Phase},
    reason::Reason,
    signal::NodeFault,
    streak::Streak,
    trouble::{Rank, Trouble},
    verdict::State,
    window::Window,
};

/// One backend.
#[derive(Clone, Debug)]
pub(crate) struct Backend {
    pub(crate) pod: Option<ObjectName>,
    pub(crate) node: Option<Arc<str>>,
    /// That list it, in order.
    pub(crate) services: Vec<Arc<ServicePortName>>,
    /// That choose from it, as far as it is a member.
    pub(crate) pools: Vec<u32>,
    /// What counts for it; none is that nothing may be ejected.
    pub(crate) policy: Option<Arc<HealthPolicy>>,
    /// The record that the kernel is believed to have; none where nobody knows.
    pub(crate) told: Option<Record>,
    /// When it is to be looked at again.
    pub(crate) due: Option<Duration>,
    /// Healthy ones have none.
    pub(crate) trouble: Option<Box<Trouble>>,
    pub(crate) window: Option<Box<Window>>,
}

impl Backend {
    pub(crate) fn new(policy: Option<Arc<HealthPolicy>>) -> Self {
        Self {
            pod: None,
            node: None,
            services: Vec::new(),
            pools: Vec::new(),
            policy,
            told: Some(Record::Available { times: 0 }),
            due: None,
            trouble: None,
            window: None,
        }
    }

    pub(crate) fn trouble(&mut self) -> &mut Trouble {
        self.trouble.get_or_insert_with(|| Box::new(Trouble::new()))
    }

    /// Another Pod has its address: nothing of what its connections and probes told is true of it.
    pub(crate) fn replace_pod(&mut self) {
        self.told = None;
        self.window = None;
        if let Some(trouble) = &mut self.trouble {
            trouble.probes.clear();
            (trouble.found, trouble.alone) = (None, None);
            trouble.passive = Passive::new();
        }
    }

    /// What it is ranked by where it is to be out.
    pub(crate) fn wish(&self) -> Option<Rank> {
        if self.pools.is_empty() {
            return None;
        }
        self.trouble.as_ref().and_then(|trouble| trouble.wish())
    }

    /// The record that the kernel must have.
    pub(crate) fn record(&self) -> Record {
        let Some(trouble) = &self.trouble else { return Record::Available { times: 0 } };
        let times = trouble.passive.times;
        match trouble.passive.phase {
            _ if !trouble.granted => Record::Available { times },
            _ if trouble.is_held() => Record::Out,
            Phase::Ejected { until, .. } | Phase::Probation { until, .. } => {
                Record::Ejected { until, times }
            }
            Phase::Good | Phase::Failing { .. } => Record::Available { times },
        }
    }

    /// The kernel counts from nothing in a record that is written anew.
    pub(crate) fn start_over(&mut self) {
        if let Some(trouble) = &mut self.trouble {
            trouble.passive.start_over();
        }
    }

    /// When time alone changes something.
    pub(crate) fn next(&self, now: Duration) -> Option<Duration> {
        let fades = self.window.as_ref().and_then(|window| window.fades(now));
        let Some(trouble) = &self.trouble else { return fades };
        let passive = self.policy.as_ref().and_then(|policy| trouble.passive.due(policy));
        let alone = trouble.alone.map(|(.., until)| until);
        let found = trouble.found.map(|(_, until)| until);
        [fades, passive, alone, found].into_iter().flatten().min()
    }

    /// Does what time alone changes.
    pub(crate) fn tick(&mut self, now: Duration) {
        let Some(trouble) = &mut self.trouble else { return };
        if let Some(policy) = &self.policy {
            trouble.passive.tick(now, policy);
        }
        trouble.alone = trouble.alone.filter(|(.., until)| *until > now);
        trouble.found = trouble.found.filter(|(_, until)| *until > now);
    }

    /// Gives back what a healthy one does not need.
    pub(crate) fn tidy(&mut self) {
        if self.trouble.as_ref().is_some_and(|trouble| trouble.is_over()) {
            self.trouble = None;
        }
    }

    /// What all signals together come to.
    pub(crate) fn state(&self, now: Duration) -> State {
        let recent = || self.recent(now).is_some();
        let Some(trouble) = &self.trouble else {
            return if recent() { State::Suspect } else { State::Healthy };
        };
        let unready = trouble.readiness.is_some();
        if unready && self.pools.is_empty() {
            return State::Ejected;
        }
        match trouble.passive.phase {
            _ if trouble.granted && trouble.is_held() => State::Ejected,
            Phase::Ejected { .. } if trouble.granted => State::Ejected,
            Phase::Probation { .. } if trouble.granted => State::Probation,
            Phase::Good
                if !unready
                    && !trouble.is_held()
                    && trouble.probes.is_empty()
                    && trouble.alone.is_none()
                    && !recent() =>
            {
                State::Healthy
            }
            _ => State::Suspect,
        }
    }

    /// Everything that speaks against it, with since when, the main reason first.
    pub(crate) fn reasons(&self, now: Duration) -> Vec<(Reason, Duration)> {
        let mut reasons = Vec::new();
        if let Some(trouble) = &self.trouble {
            let readiness = trouble.readiness.into_iter();
            reasons.extend(readiness.map(|(condition, at)| (Reason::Readiness { condition }, at)));
            let node = trouble.node.iter();
            reasons.extend(node.map(|(fault, at)| (Reason::Node(NodeFault::clone(fault)), *at)));
            reasons.extend(trouble.monitors.iter().map(|((_, monitor), (message, at))| {
                let (monitor, message) = (Arc::clone(monitor), Arc::clone(message));
                (Reason::Monitor { monitor, message }, *at)
            }));
            reasons.extend(trouble.probes.iter().map(|(_, streak)| {
                let Streak { failures, last, since, counts, .. } = streak.clone();
                (Reason::Probe { failures, last, counts }, since)
            }));
            reasons.extend(trouble.found.map(|(at, _)| (Reason::Found, at)));
            let passive = trouble.passive;
            reasons.extend(passive.why().map(|why| (Reason::Passive(why), passive.first)));
            reasons.extend(trouble.alone.map(|(failures, at, _)| (Reason::Alone(failures), at)));
        }
        reasons.extend(self.recent(now));
        // Those that eject before those that do not, but for readiness, which keeps it out of pools.
        reasons.sort_by(|(one, since), (other, at)| {
            let order =
                |reason: &Reason| !reason.ejects() && !matches!(reason, Reason::Readiness { .. });
            (order(one), one, since).cmp(&(order(other), other, at))
        });
        reasons
    }

    /// Failures of the window, where they do not count yet.
    fn recent(&self, now: Duration) -> Option<(Reason, Duration)> {
        let window = self.window.as_ref()?;
        let since = window.failing_since(now)?;
        let total = window.total(now);
        let (failures, connections) = (total.failures, total.connections);
        Some((Reason::Recent { failures, connections }, since))
    }
}
