//! One verdict per backend, made of everything that is known of it, and brought into the maps.
//!
//! A Service port is told to the [`Tracker`] once something speaks against one of its members, or a
//! policy says something else than the default; all others need nothing but a budget. So memory
//! follows the trouble, not the cluster.

mod endpoints;
mod index;
mod judging;
mod kernel;
mod outside;
mod reasons;
mod records;
mod report;
mod samples;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use etm_dataplane::{Dataplane, monotonic};
use etm_health::{LIMIT, Probed, Prober, Signal, Tracker};
use etm_model::{BackendKey, Delta, EjectedNodes, HealthPolicy, Ledger, Planner, ServicePortName};
use tokio::sync::mpsc::Receiver;

use self::{
    index::Index,
    outside::{faults, on_nodes},
    reasons::Reasons,
    records::Records,
    report::Reported,
    samples::Samples,
};
use crate::agent::stale::Moved;

/// How often counters are read.
const SAMPLING: Duration = Duration::from_secs(1);

/// Everything that is known of backends' health.
pub(super) struct Verdicts {
    tracker: Tracker,
    default: Arc<HealthPolicy>,
    index: Index,
    records: Records,
    reasons: Reasons,
    reported: Reported,
    samples: Samples,
    prober: Prober,
    /// Service ports that the tracker knows.
    told: BTreeSet<Arc<ServicePortName>>,
    /// Backends that something was said against.
    suspects: BTreeSet<BackendKey>,
    /// Nodes that do not work, as they were told.
    nodes: EjectedNodes,
    sampled: Duration,
    /// Backends that were taken out of service or are back, since they were taken from here.
    moved: Vec<Moved>,
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
            reported: Reported::default(),
            samples: Samples::default(),
            prober,
            told: BTreeSet::new(),
            suspects: BTreeSet::new(),
            nodes: EjectedNodes::new(),
            sampled: monotonic(),
            moved: Vec::new(),
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

    /// Takes in what a probe found.
    pub(super) fn probed(&mut self, probed: Probed, mut scene: Scene<'_>) {
        let key = probed.backend;
        self.tracker.signal(monotonic(), key, probed.into());
        self.settle(&mut scene);
    }

    /// What became of backends since this was asked last.
    pub(super) fn take_moved(&mut self) -> Vec<Moved> {
        std::mem::take(&mut self.moved)
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
                self.moved.extend(Records::write(id, key, record, scene.dataplane));
            }
        }
        let judged = self.tracker.judged();
        self.reported.follow(&self.tracker, judged.iter().copied(), scene.ledger);
        self.reasons.tell(&self.tracker, judged, scene.ledger, scene.dataplane);
    }
}
