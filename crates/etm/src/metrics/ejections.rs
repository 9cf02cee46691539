//! How many backends are not healthy, and what the kernel did with them.

use std::collections::BTreeMap;

use etm_abi::Happened;
use etm_health::State;
use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// States of backends that are counted: all but the healthy ones, which are most.
const STATES: [(State, &str); 3] =
    [(State::Suspect, "suspect"), (State::Probation, "probation"), (State::Ejected, "ejected")];

/// What became of backends.
#[derive(Debug, Default)]
pub(super) struct Ejections {
    ejections: Family<[(&'static str, &'static str); 1], Counter>,
    backends: Family<[(&'static str, &'static str); 1], Gauge>,
}

impl Ejections {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let ejections = Self::default();
        registry.register(
            "ejections",
            "What the kernel did with backends by what became of their connections",
            ejections.ejections.clone(),
        );
        registry.register(
            "backends",
            "Backends that something speaks against, by what is done about it",
            ejections.backends.clone(),
        );
        for what in Happened::ALL {
            // There from the start, so that the first one is seen to be more than none.
            ejections.ejections.get_or_create(&[("what", label(what))]).inc_by(0);
        }
        ejections.count(&BTreeMap::new());
        ejections
    }

    /// The kernel did something.
    pub(super) fn happened(&self, what: Happened) {
        self.ejections.get_or_create(&[("what", label(what))]).inc();
    }

    /// There are so many backends of each state.
    pub(super) fn count(&self, counts: &BTreeMap<State, usize>) {
        for (state, label) in STATES {
            let count = counts.get(&state).copied().unwrap_or_default();
            self.backends.get_or_create(&[("state", label)]).set(count as i64);
        }
    }
}

const fn label(what: Happened) -> &'static str {
    match what {
        Happened::Ejected => "ejected",
        Happened::EjectedAgain => "again",
        Happened::Shunned => "shunned",
        Happened::Spared => "spared",
        Happened::Returned => "returned",
    }
}
