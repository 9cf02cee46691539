use std::sync::Arc;

use etm_source::kubernetes::Statistics;
use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::collect;
use crate::state::State;

/// Everything that a controller measures.
#[derive(Debug)]
pub(crate) struct ControllerMetrics {
    registry: Arc<Registry>,
    leader: Gauge,
    policies: Family<[(&'static str, &'static str); 1], Gauge>,
    writes: Family<[(&'static str, &'static str); 1], Counter>,
}

impl ControllerMetrics {
    pub(crate) fn new(watches: &[Arc<Statistics>], state: Arc<State>) -> Self {
        let mut registry = Registry::with_prefix("etm");
        let leader = Gauge::default();
        registry.register("leader", "1 where this process is the one that writes", leader.clone());
        let policies = Family::default();
        registry.register(
            "policies",
            "Traffic policies, by whether they are accepted",
            policies.clone(),
        );
        let writes = Family::default();
        registry.register(
            "status_writes",
            "Writes of the status of an object, by what became of them",
            writes.clone(),
        );
        collect(&mut registry, watches, state);
        Self { registry: Arc::new(registry), leader, policies, writes }
    }

    /// Takes note of whether this process leads.
    pub(crate) fn leads(&self, leads: bool) {
        self.leader.set(leads.into());
    }

    /// Takes note of how many policies there are, and of how many count.
    pub(crate) fn policies(&self, (all, accepted): (usize, usize)) {
        for (label, count) in [("true", accepted), ("false", all - accepted)] {
            self.policies.get_or_create(&[("accepted", label)]).set(count as i64);
        }
    }

    /// Takes note of a write.
    pub(crate) fn wrote(&self, outcome: &'static str) {
        self.writes.get_or_create(&[("outcome", outcome)]).inc();
    }

    /// All of it, to be shown.
    pub(crate) fn registry(&self) -> Arc<Registry> {
        Arc::clone(&self.registry)
    }
}
