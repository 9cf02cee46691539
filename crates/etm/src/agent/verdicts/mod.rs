//! One verdict per backend, made of everything that is known of it, and brought into the maps.
//!
//! A Service port is told to the [`Tracker`] once something speaks against one of its members, or a
//! policy says something else than the default; all others need nothing but a budget. So memory
//! follows the trouble, not the cluster.

mod endpoints;
mod index;
mod outside;
mod reasons;
mod records;
mod samples;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use etm_abi::{BACKEND_EJECTED, BACKEND_OUT, Ejection, Failure, Happened};
use etm_dataplane::{Dataplane, monotonic};
use etm_health::{
    FailureKind, Failures, LIMIT, Probed, Prober, Record, ServiceHealth, Signal, Tracker,
};
use etm_model::{
    BackendKey, Delta, EjectedNodes, HealthPolicy, Ledger, Planner, ProbePort, ServicePortName,
};
use tokio::sync::mpsc::Receiver;
use tracing::{info, warn};

use self::{
    endpoints::known,
    index::{Index, Planned},
    outside::{faults, monitored, on_nodes, touches},
    reasons::Reasons,
    records::Records,
    samples::Samples,
};

/// How often counters are read.
const SAMPLING: Duration = Duration::from_secs(1);

/// Everything that is known of backends' health.
pub(super) struct Verdicts {
    tracker: Tracker,
    default: Arc<HealthPolicy>,
    index: Index,
    records: Records,
    reasons: Reasons,
    samples: Samples,
    prober: Prober,
    /// Service ports that the tracker knows.
    told: BTreeSet<Arc<ServicePortName>>,
    /// Backends that something was said against.
    suspects: BTreeSet<BackendKey>,
    /// Nodes that do not work, as they were told.
    nodes: EjectedNodes,
    sampled: Duration,
}

/// What verdicts are made from, and where they go.
pub(super) struct Scene<'a> {
    pub(super) planner: &'a Planner,
    pub(super) ledger: &'a Ledger,
    pub(super) dataplane: &'a mut Dataplane,
}

impl Verdicts {
    /// Starts with nothing known; probes tell what they find through the receiver.
    pub(super) fn new(node: &str) -> (Self, Receiver<Probed>) {
        let (prober, probed) = Prober::start(node, LIMIT);
        let verdicts = Self {
            tracker: Tracker::new(),
            default: Arc::default(),
            index: Index::default(),
            records: Records::default(),
            reasons: Reasons::default(),
            samples: Samples::default(),
            prober,
            told: BTreeSet::new(),
            suspects: BTreeSet::new(),
            nodes: EjectedNodes::new(),
            sampled: monotonic(),
        };
        (verdicts, probed)
    }

    /// Takes in the whole Plan, which was just written, and what the kernel did before.
    pub(super) fn follow_all(&mut self, mut scene: Scene<'_>) {
        let changed = self.index.replace(scene.planner.plan());
        self.judge(changed, &mut scene);
        self.look_at_nodes(&mut scene);
        self.reasons.clear(scene.dataplane);
        self.adopt(&mut scene);
        self.settle(&mut scene);
    }

    /// Takes in what changed of the Plan and was just written.
    pub(super) fn follow(&mut self, delta: &Delta, mut scene: Scene<'_>) {
        let changed = self.index.change(delta, scene.planner);
        let nodes = self.look_at_nodes(&mut scene);
        if nodes || !changed.is_empty() {
            self.judge(changed, &mut scene);
            self.settle(&mut scene);
        }
    }

    /// Takes in what the kernel did with a backend.
    pub(super) fn hear(&mut self, ejection: &Ejection, mut scene: Scene<'_>) {
        let Some(key) = scene.ledger.backend_key(ejection.backend) else { return };
        let record = scene.dataplane.backend(ejection.backend).unwrap_or_default();
        if record.incarnation != ejection.incarnation {
            return;
        }
        let Some(what) = Happened::ALL.get(ejection.what as usize) else { return };
        match what {
            Happened::Ejected => self.records.count(record.budget, -1),
            Happened::Returned => self.records.count(record.budget, 1),
            _ => {}
        }
        let failures = Failures {
            in_row: ejection.failures,
            callers: if ejection.others == 0 { 1 } else { 2 },
            last: kind(ejection.failure),
        };
        tell(*what, &key, failures, &scene);
        let until = Duration::from_nanos(ejection.until);
        let signal = match what {
            Happened::Ejected => Signal::Ejected { failures, until, times: record.times.into() },
            Happened::Spared => Signal::Failing(failures),
            Happened::Shunned => Signal::Alone(failures),
            Happened::EjectedAgain => Signal::Failed(failures.last),
            Happened::Returned => Signal::Returned,
        };
        self.suspect(key, &mut scene);
        self.tracker.signal(monotonic(), key, signal);
        self.settle(&mut scene);
    }

    /// Takes in what a probe found.
    pub(super) fn probed(&mut self, probed: Probed, mut scene: Scene<'_>) {
        let key = probed.backend;
        self.tracker.signal(monotonic(), key, probed.into());
        self.settle(&mut scene);
    }

    /// When [`Verdicts::due`] has something to do, in the time of [`monotonic`].
    pub(super) fn next_due(&self) -> Duration {
        let sample = self.sampled + SAMPLING;
        self.tracker.next().map_or(sample, |next| next.min(sample))
    }

    /// Does what it is time for.
    pub(super) fn due(&mut self, mut scene: Scene<'_>) {
        let now = monotonic();
        if now >= self.sampled + SAMPLING {
            self.sampled = now;
            for (id, outcomes) in self.samples.take(scene.ledger.backends_end(), scene.dataplane) {
                let Some(key) = scene.ledger.backend_key(id) else {
                    self.samples.forget(id);
                    continue;
                };
                self.suspect(key, &mut scene);
                for outcomes in outcomes {
                    self.tracker.signal(now, key, Signal::Outcomes(outcomes));
                }
            }
        }
        self.settle(&mut scene);
    }

    /// Says of Service ports by what their members are judged.
    fn judge(&mut self, names: BTreeSet<Arc<ServicePortName>>, scene: &mut Scene<'_>) {
        for name in names {
            let Some(planned) = self.index.planned(&name, scene.planner) else {
                self.forget(&name);
                continue;
            };
            let members = planned.pools.iter().flat_map(|pool| pool.iter());
            let mut suspects = members.map(|member| member.backend);
            let other = planned.policy.as_ref().is_some_and(|policy| *policy != self.default)
                || !planned.ejected.is_empty()
                || on_nodes_of(&name, &self.nodes, scene);
            if other
                || self.told.contains(&name)
                || suspects.any(|key| self.suspects.contains(&key))
            {
                self.introduce(&name, planned, scene);
            } else {
                self.judge_by_default(&name, &planned, scene);
            }
        }
    }

    /// Takes in which nodes do not work, where that has changed.
    fn look_at_nodes(&mut self, scene: &mut Scene<'_>) -> bool {
        let snapshot = scene.planner.snapshot();
        if self.nodes == snapshot.ejected_nodes {
            return false;
        }
        self.nodes.clone_from(&snapshot.ejected_nodes);
        for name in on_nodes(&self.nodes, snapshot, &self.index) {
            if !self.told.contains(&name)
                && let Some(planned) = self.index.planned(&name, scene.planner)
            {
                self.introduce(&name, planned, scene);
            }
        }
        self.tracker.set_nodes(monotonic(), faults(&self.nodes));
        true
    }

    fn forget(&mut self, name: &Arc<ServicePortName>) {
        self.records.forget(name);
        if self.told.remove(name) {
            self.tracker.remove_service(monotonic(), name);
            self.prober.set(name, []);
        }
    }

    /// Gives a Service port the budget that it has while nothing speaks against its members.
    fn judge_by_default(
        &mut self,
        name: &Arc<ServicePortName>,
        planned: &Planned,
        scene: &mut Scene<'_>,
    ) {
        self.judge_members(name, planned, scene);
        let Some(service) = scene.ledger.service(name) else { return };
        let percent = planned.policy.as_ref().filter(|policy| policy.passive.is_some());
        let allowed = planned.pools.iter().filter_map(|pool| {
            let members = u32::try_from(pool.len()).unwrap_or(u32::MAX);
            percent.map(|policy| policy.max_ejected_percent.of(members))
        });
        self.records.set_budget(name, service, allowed.min().unwrap_or(0), scene.dataplane);
    }

    /// Says by what the members of a Service port are judged. One that several Services have is
    /// judged as the tracker says, where it knows.
    fn judge_members(
        &mut self,
        name: &Arc<ServicePortName>,
        planned: &Planned,
        scene: &mut Scene<'_>,
    ) {
        let Some(service) = scene.ledger.service(name) else { return };
        for member in planned.pools.iter().flat_map(|pool| pool.iter()) {
            let Some(id) = scene.ledger.backend(&member.backend) else { continue };
            let policy = self.tracker.policy(&member.backend).or(planned.policy.as_ref());
            self.records.judge(id, policy.map(AsRef::as_ref), service, scene.dataplane);
        }
    }

    /// Tells the tracker of a Service port.
    fn introduce(&mut self, name: &Arc<ServicePortName>, planned: Planned, scene: &mut Scene<'_>) {
        self.judge_members(name, &planned, scene);
        let snapshot = scene.planner.snapshot();
        let port = snapshot.services.get(&name.service).and_then(|service| {
            let mut ports = service.ports.iter();
            ports.find(|port| port.name == name.port && port.protocol == name.protocol)
        });
        let probe = planned.policy.as_ref().and_then(|policy| policy.probe.as_ref());
        let asked = probe.and_then(|probe| match &probe.port {
            Some(ProbePort::Name(name)) => Some(&**name),
            _ => None,
        });
        let known = port.map(|port| known(snapshot, name, port, asked, &planned.pools));
        let health = ServiceHealth {
            publish_not_ready: planned.policy.is_none(),
            policy: planned.policy.clone(),
            pools: planned.pools,
            endpoints: known.unwrap_or_default(),
            monitored: monitored(&planned.ejected, &name.service),
        };
        self.prober.set(name, health.targets());
        self.tracker.set_service(monotonic(), name, &health);
        self.told.insert(Arc::clone(name));
    }

    /// Something is said against a backend: the tracker is to know all that it is a member of.
    fn suspect(&mut self, key: BackendKey, scene: &mut Scene<'_>) {
        if !self.suspects.insert(key) {
            return;
        }
        for name in self.index.with_member(&key, scene.planner) {
            if !self.told.contains(&name)
                && let Some(planned) = self.index.planned(&name, scene.planner)
            {
                self.introduce(&name, planned, scene);
            }
        }
    }

    /// Takes over what an agent before this one, or the kernel since, has taken out of service.
    fn adopt(&mut self, scene: &mut Scene<'_>) {
        for id in 0..scene.ledger.backends_end() {
            let Some(record) = scene.dataplane.backend(id) else { continue };
            let Some(key) = scene.ledger.backend_key(id) else { continue };
            let times = record.times.into();
            let adopted = match record.state {
                BACKEND_EJECTED => {
                    Record::Ejected { until: Duration::from_nanos(record.until), times }
                }
                BACKEND_OUT => Record::Out,
                _ if times != 0 => Record::Available { times },
                _ => continue,
            };
            self.suspect(key, scene);
            self.tracker.adopt(monotonic(), key, adopted);
        }
    }

    /// Brings what follows from all that was told into the maps.
    fn settle(&mut self, scene: &mut Scene<'_>) {
        let changes = self.tracker.changes(monotonic());
        for (name, budget) in changes.budgets {
            if let Some(service) = scene.ledger.service(&name) {
                self.records.set_budget(&name, service, budget.left(), scene.dataplane);
            }
        }
        for (key, policy) in changes.policies {
            let Some(id) = scene.ledger.backend(&key) else { continue };
            let budget = scene.dataplane.backend(id).unwrap_or_default().budget;
            self.records.judge(id, policy.as_deref(), budget, scene.dataplane);
        }
        for (key, record) in changes.records {
            if let Some(id) = scene.ledger.backend(&key) {
                Records::write(id, record, scene.dataplane);
            }
        }
        let judged = self.tracker.judged();
        self.reasons.tell(&self.tracker, judged, scene.ledger, scene.dataplane);
    }
}

/// Whether a Service, or one that its routes lead to, has an endpoint on one of these nodes.
fn on_nodes_of(name: &ServicePortName, nodes: &EjectedNodes, scene: &Scene<'_>) -> bool {
    if nodes.is_empty() {
        return false;
    }
    let snapshot = scene.planner.snapshot();
    let services = snapshot.destinations(&name.service).into_iter().chain([&name.service]);
    let slices = services.filter_map(|service| snapshot.slices.get(service));
    slices.flat_map(|slices| slices.values()).any(|slice| touches(slice, nodes))
}

fn kind(failure: u32) -> FailureKind {
    if failure == Failure::Refused as u32 {
        FailureKind::Refused
    } else if failure == Failure::TimedOut as u32 {
        FailureKind::TimedOut
    } else {
        FailureKind::Reset
    }
}

/// Logs what the kernel did.
fn tell(what: Happened, key: &BackendKey, failures: Failures, scene: &Scene<'_>) {
    let pod = scene.ledger.pod(key).map(|pod| pod.to_string()).unwrap_or_default();
    let Failures { in_row, last, .. } = failures;
    let backend = std::net::SocketAddr::new(key.ip, key.port);
    match what {
        Happened::Ejected => {
            warn!(%backend, pod, in_row, ?last, "ejected: its connections fail, of several callers");
        }
        Happened::EjectedAgain => {
            warn!(%backend, pod, ?last, "ejected again: a connection on probation failed");
        }
        Happened::Shunned => {
            warn!(%backend, pod, in_row, ?last, "kept from one caller, whose connections alone fail");
        }
        Happened::Spared => {
            warn!(%backend, pod, in_row, ?last, "not ejected: no more of its Service may be out");
        }
        Happened::Returned => info!(%backend, pod, "back: its connections succeed"),
    }
}
