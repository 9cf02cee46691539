//! What speaks against a backend.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use etm_model::{Probe, ServicePortName};

use crate::{
    passive::{Passive, Phase},
    service::Readiness,
    signal::{Failures, NodeFault},
    streak::Streak,
};

/// What a backend that is to be out is ranked by: the lower, the more it is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    class: Class,
    since: Duration,
}

/// How sure a case is, the surest first. A node that is down is down for everyone, and a monitor
/// is someone's own word; what this node saw by itself may be its own fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Node,
    Monitor,
    Probe,
    Found,
    Passive,
}

/// A Service port, and a monitor of its policy.
pub(crate) type MonitorOf = (Arc<ServicePortName>, Arc<str>);

/// What speaks, or spoke, against a backend.
#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    pub(crate) readiness: Option<(Readiness, Duration)>,
    pub(crate) node: Option<(Arc<NodeFault>, Duration)>,
    /// By Service port and monitor: what it says.
    pub(crate) monitors: BTreeMap<MonitorOf, (Arc<str>, Duration)>,
    pub(crate) probes: Vec<(Arc<Probe>, Streak)>,
    /// It was out when the agent started: until then, unless someone says why.
    pub(crate) found: Option<(Duration, Duration)>,
    pub(crate) passive: Passive,
    /// Since when, and until when it is shown.
    pub(crate) alone: Option<(Failures, Duration, Duration)>,
    /// As the pools have it.
    pub(crate) rank: Option<Rank>,
    /// There is room for it to be out.
    pub(crate) granted: bool,
    /// The pool that has none.
    pub(crate) spared: Option<u32>,
}

impl Trouble {
    pub(crate) const fn new() -> Self {
        Self {
            readiness: None,
            node: None,
            monitors: BTreeMap::new(),
            probes: Vec::new(),
            found: None,
            passive: Passive::new(),
            alone: None,
            rank: None,
            granted: false,
            spared: None,
        }
    }

    /// Whether something else than its connections takes it out.
    pub(crate) fn is_held(&self) -> bool {
        self.node.is_some()
            || !self.monitors.is_empty()
            || self.found.is_some()
            || self.probes.iter().any(|(_, streak)| streak.counts)
    }

    /// Whether nothing of it is left.
    pub(crate) fn is_over(&self) -> bool {
        !self.is_held()
            && self.readiness.is_none()
            && self.probes.is_empty()
            && self.passive.phase == Phase::Good
            && self.passive.times == 0
            && self.alone.is_none()
            && self.rank.is_none()
    }

    /// What it is ranked by where it is to be out.
    pub(crate) fn wish(&self) -> Option<Rank> {
        let rank = |class| move |since| Rank { class, since };
        let monitors = self.monitors.values().map(|(_, since)| *since).min();
        let probes = self.probes.iter().filter(|(_, streak)| streak.counts);
        let passive = (self.passive.phase != Phase::Good).then_some(self.passive.first);
        [
            self.node.as_ref().map(|(_, since)| *since).map(rank(Class::Node)),
            monitors.map(rank(Class::Monitor)),
            probes.map(|(_, streak)| streak.since).min().map(rank(Class::Probe)),
            self.found.map(|(since, _)| since).map(rank(Class::Found)),
            passive.map(rank(Class::Passive)),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Forgets that it was out when the agent started, where something that is known now takes it
    /// out.
    pub(crate) fn explain(&mut self) {
        let found = self.found.take();
        if !self.is_held() {
            self.found = found;
        }
    }
}
