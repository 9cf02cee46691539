//! Figures for a monitoring system.

mod collect;
mod controller;
mod ejections;
mod refusals;
mod stale;

use std::{
    collections::BTreeMap,
    fmt,
    sync::Arc,
    time::{Instant, SystemTime},
};

use etm_abi::Happened;
use etm_dataplane::Counters;
use etm_health::State as Health;
use etm_model::Protocol;
use etm_source::{Arrival, kubernetes::Statistics};
use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

pub(crate) use self::{
    controller::{ControllerMetrics, Counts},
    stale::Stale,
};

use self::{
    collect::{Problems, Watches},
    ejections::Ejections,
    refusals::{Kernel, Refusals},
    stale::Ended,
};
use crate::state::State;

/// From a change in the cluster to the maps: those of Pods are told to the second by the control
/// plane, and an outage shows in the last ones.
const PROGRAMMING: [f64; 14] =
    [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0];
/// From the receipt of an event to the maps.
const CHANGE: [f64; 12] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 1.0, 10.0];

/// Everything that an agent measures.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Arc<Registry>,
    programming: Histogram,
    change: Histogram,
    skewed: Counter,
    callers: Family<[(&'static str, &'static str); 1], Gauge>,
    ejections: Ejections,
    ended: Ended,
    kernel: Kernel,
}

impl Metrics {
    pub(crate) fn new(watches: &[Arc<Statistics>], state: Arc<State>) -> Self {
        let mut registry = Registry::with_prefix("etm");
        let programming = Histogram::new(PROGRAMMING);
        registry.register_with_unit(
            "network_programming_duration",
            "From the change of a Service or Pod, as its EndpointSlice tells it, until the maps \
             have it; without the first list",
            Unit::Seconds,
            programming.clone(),
        );
        let change = Histogram::new(CHANGE);
        registry.register_with_unit(
            "change_duration",
            "From the receipt of an event of the API server until the maps have it; without the \
             first list",
            Unit::Seconds,
            change.clone(),
        );
        let skewed = Counter::default();
        registry.register(
            "network_programming_skewed",
            "Changes that the control plane's clock puts after they were in the maps; they are in \
             no histogram",
            skewed.clone(),
        );
        let callers = Family::default();
        registry.register(
            "callers",
            "Pods' cgroups on this node, by whether the Pod of each is known",
            callers.clone(),
        );
        let ejections = Ejections::register(&mut registry);
        let ended = Ended::register(&mut registry);
        let kernel = Kernel::default();
        registry.register_collector(Box::new(Refusals::new(Arc::clone(&kernel))));
        collect(&mut registry, watches, state);
        let registry = Arc::new(registry);
        Self { registry, programming, change, skewed, callers, ejections, ended, kernel }
    }

    /// Shows what the kernel counts from now on; only the first one given is shown.
    pub(crate) fn set_kernel(&self, counters: Counters) {
        self.kernel.get_or_init(|| counters);
    }

    /// Takes note that changes are in the maps by now.
    pub(crate) fn written(&self, arrivals: impl Iterator<Item = Arrival>) {
        let (now, time) = (Instant::now(), SystemTime::now());
        for Arrival { received, triggered } in arrivals {
            self.change.observe(now.saturating_duration_since(received).as_secs_f64());
            match triggered.map(|triggered| time.duration_since(triggered)) {
                Some(Ok(latency)) => self.programming.observe(latency.as_secs_f64()),
                Some(Err(_)) => {
                    self.skewed.inc();
                }
                None => {}
            }
        }
    }

    /// Takes note of how many Pods' cgroups there are, and of how many the Pod is not known.
    pub(crate) fn callers(&self, (all, unknown): (usize, usize)) {
        for (known, count) in [("true", all - unknown), ("false", unknown)] {
            self.callers.get_or_create(&[("known", known)]).set(count as i64);
        }
    }

    /// Takes note of what the kernel did with a backend.
    pub(crate) fn happened(&self, what: Happened) {
        self.ejections.happened(what);
    }

    /// Takes note of sockets that were ended.
    pub(crate) fn ended(&self, protocol: Protocol, why: Stale, count: u64) {
        self.ended.count(protocol, why, count);
    }

    /// Takes note of how many backends there are of each state but the healthy one.
    pub(crate) fn backends(&self, counts: &BTreeMap<Health, usize>) {
        self.ejections.count(counts);
    }

    /// All of it, to be shown.
    pub(crate) fn registry(&self) -> Arc<Registry> {
        Arc::clone(&self.registry)
    }
}

/// All of it in the OpenMetrics text format.
pub(crate) fn render(registry: &Registry) -> Result<String, fmt::Error> {
    let mut text = String::new();
    encode(&mut text, registry)?;
    Ok(text)
}

/// What is shown of whatever follows a cluster.
fn collect(registry: &mut Registry, watches: &[Arc<Statistics>], state: Arc<State>) {
    registry.register_collector(Box::new(Watches::new(watches)));
    registry.register_collector(Box::new(Problems::new(state)));
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use etm_model::Problem;

    use super::*;

    fn rendered(metrics: &Metrics, line: &str) {
        let text = render(&metrics.registry).unwrap();
        assert!(text.lines().any(|found| found == line), "no line `{line}` in:\n{text}");
    }

    #[test]
    fn each_change_is_measured_from_its_own_beginning() {
        let metrics = Metrics::new(&[], Arc::default());
        let received = Instant::now();
        let ago = |seconds| Some(SystemTime::now() - Duration::from_secs(seconds));
        let triggers = [ago(0), ago(3), ago(40), None];
        metrics.written(triggers.into_iter().map(|triggered| Arrival { received, triggered }));
        let name = "etm_network_programming_duration_seconds";
        rendered(&metrics, &format!("{name}_count 3"));
        rendered(&metrics, &format!("{name}_bucket{{le=\"2.0\"}} 1"));
        rendered(&metrics, &format!("{name}_bucket{{le=\"5.0\"}} 2"));
        rendered(&metrics, &format!("{name}_bucket{{le=\"60.0\"}} 3"));
        rendered(&metrics, "etm_change_duration_seconds_count 4");
    }

    #[test]
    fn a_clock_that_is_ahead_spoils_no_histogram() {
        let metrics = Metrics::new(&[], Arc::default());
        let triggered = Some(SystemTime::now() + Duration::from_secs(3600));
        metrics.written([Arrival { received: Instant::now(), triggered }].into_iter());
        rendered(&metrics, "etm_network_programming_duration_seconds_count 0");
        rendered(&metrics, "etm_network_programming_skewed_total 1");
    }

    #[test]
    fn callers_are_counted_by_whether_they_are_known() {
        let metrics = Metrics::new(&[], Arc::default());
        metrics.callers((5, 2));
        rendered(&metrics, r#"etm_callers{known="true"} 3"#);
        rendered(&metrics, r#"etm_callers{known="false"} 2"#);
    }

    #[test]
    fn backends_are_counted_by_state_and_what_was_done_with_them() {
        let metrics = Metrics::new(&[], Arc::default());
        rendered(&metrics, r#"etm_ejections_total{what="returned"} 0"#);
        rendered(&metrics, r#"etm_backends{state="ejected"} 0"#);
        metrics.happened(Happened::Ejected);
        metrics.happened(Happened::EjectedAgain);
        metrics.backends(&BTreeMap::from([(Health::Ejected, 2), (Health::Suspect, 1)]));
        rendered(&metrics, r#"etm_ejections_total{what="ejected"} 1"#);
        rendered(&metrics, r#"etm_ejections_total{what="again"} 1"#);
        rendered(&metrics, r#"etm_backends{state="ejected"} 2"#);
        metrics.backends(&BTreeMap::from([(Health::Probation, 1)]));
        rendered(&metrics, r#"etm_backends{state="ejected"} 0"#);
        rendered(&metrics, r#"etm_backends{state="suspect"} 0"#);
        rendered(&metrics, r#"etm_backends{state="probation"} 1"#);
    }

    #[test]
    fn problems_are_counted_by_kind_and_field() {
        let problem = |object: &str, field: &str| Problem {
            object: object.into(),
            field: field.into(),
            reason: String::new(),
            hint: String::new(),
        };
        let state = Arc::new(State::default());
        state.set_problems(Arc::new([
            problem("Service a/b", "spec.ports[0].port"),
            problem("Service a/c (x.yaml:7)", "spec.ports[12].port"),
            problem("watch of services", ""),
            problem("x.yaml:3:1", ""),
        ]));
        let metrics = Metrics::new(&[], state);
        rendered(&metrics, r#"etm_problems{kind="Service",field="spec.ports[].port"} 2"#);
        rendered(&metrics, r#"etm_problems{kind="watch",field=""} 1"#);
        rendered(&metrics, r#"etm_problems{kind="file",field=""} 1"#);
    }
}
