use std::sync::Arc;

use etm_source::kubernetes::Statistics;
use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::collect;
use crate::state::State;

/// What monitors and nodes say, in numbers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// Monitors that are asked, and those of them that say nothing.
    pub(crate) monitors: (usize, usize),
    /// Pods that are out.
    pub(crate) pods: usize,
    /// Nodes, and those of them that are bad.
    pub(crate) nodes: (usize, usize),
    /// Nodes that are out.
    pub(crate) out: usize,
}

/// Everything that a controller measures.
#[derive(Debug)]
pub(crate) struct ControllerMetrics {
    registry: Arc<Registry>,
    leader: Gauge,
    policies: Family<[(&'static str, &'static str); 1], Gauge>,
    releases: Family<[(&'static str, &'static str); 1], Gauge>,
    routes: Family<[(&'static str, &'static str); 1], Gauge>,
    writes: Family<[(&'static str, &'static str); 1], Counter>,
    monitors: Family<[(&'static str, &'static str); 1], Gauge>,
    ejected: Family<[(&'static str, &'static str); 1], Gauge>,
    nodes: Family<[(&'static str, &'static str); 1], Gauge>,
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
        let releases = Family::default();
        registry.register("releases", "Releases, by whether they are over", releases.clone());
        let routes = Family::default();
        registry.register(
            "routes",
            "Objects with routes, by whether anything of them is accepted",
            routes.clone(),
        );
        let writes = Family::default();
        registry.register(
            "status_writes",
            "Writes of the status of an object, by what became of them",
            writes.clone(),
        );
        let monitors = Family::default();
        registry.register(
            "monitors",
            "Monitors that this process asks, by whether their answers can be used",
            monitors.clone(),
        );
        let ejected = Family::default();
        registry.register("ejected", "Pods and nodes that are taken out", ejected.clone());
        let nodes = Family::default();
        registry.register("nodes", "Nodes, by whether anything is wrong with them", nodes.clone());
        collect(&mut registry, watches, state);
        let registry = Arc::new(registry);
        Self { registry, leader, policies, releases, routes, writes, monitors, ejected, nodes }
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

    /// Takes note of how many releases there are, and of how many are under way.
    pub(crate) fn releases(&self, (all, under_way): (usize, usize)) {
        for (label, count) in [("true", all - under_way), ("false", under_way)] {
            self.releases.get_or_create(&[("over", label)]).set(count as i64);
        }
    }

    /// Takes note of how many objects with routes there are, and of how many count for something.
    pub(crate) fn routes(&self, (all, accepted): (usize, usize)) {
        for (label, count) in [("true", accepted), ("false", all - accepted)] {
            self.routes.get_or_create(&[("accepted", label)]).set(count as i64);
        }
    }

    /// Takes note of what monitors and nodes say.
    pub(crate) fn monitors(&self, counts: Counts) {
        let Counts { monitors: (all, failing), pods, nodes: (nodes, bad), out } = counts;
        for (family, label, kinds) in [
            (&self.monitors, "state", [("answering", all - failing), ("failing", failing)]),
            (&self.ejected, "kind", [("pods", pods), ("nodes", out)]),
            (&self.nodes, "state", [("well", nodes - bad), ("bad", bad)]),
        ] {
            for (kind, count) in kinds {
                family.get_or_create(&[(label, kind)]).set(count as i64);
            }
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
