//! Brings the maps to the Plan, and has what follows from it follow.

mod maps;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use etm_abi::{Ejection, Event, Happened};
use etm_api::NodeReportSpec;
use etm_dataplane::{Dataplane, monotonic};
use etm_health::Probed;
use etm_model::{
    Caller, Change, Kept, Ledger, Node, Plan, Planner, Problem, Reconciled, Report, from_abi,
};
use etm_outcomes::{Question, Report as OutcomesReport};
use etm_source::Arrival;
use tokio::sync::mpsc::Receiver;
use tracing::{debug, error, info, warn};

use self::maps::read_back;

use crate::{
    agent::{
        RETRY,
        health::Health,
        outcomes,
        stale::StaleConnections,
        verdicts::{Scene, Verdicts},
    },
    get::describe,
    metrics::Metrics,
};

/// Brings the maps to the Plan: everything at the start and after an error, then only what changes.
pub(super) struct Reconciler {
    dataplane: Dataplane,
    planner: Planner,
    ledger: Ledger,
    started: Instant,
    /// When to read the maps back and try again, after a write failed.
    retry: Option<Duration>,
    /// What must stay; none once the state was complete.
    kept: Option<Kept>,
    first: Report,
    metrics: Arc<Metrics>,
    verdicts: Verdicts,
    /// None where every socket stays as it is.
    stale: Option<StaleConnections>,
    probed: Receiver<Probed>,
    /// Where the latency of changes begins that are not in the maps yet.
    unwritten: Vec<Arrival>,
}

impl Reconciler {
    /// Takes over the maps as they are and repairs what differs from the Plan; while the state is
    /// not `complete`, only what the maps lack or what is broken in them.
    pub(super) fn adopt(
        dataplane: Dataplane,
        planner: Planner,
        metrics: Arc<Metrics>,
        complete: bool,
        ends_stale: bool,
    ) -> anyhow::Result<Self> {
        let ledger = read_back(&dataplane)?;
        let (verdicts, probed) = Verdicts::new(&planner.snapshot().node.name);
        let stale = ends_stale.then(|| StaleConnections::start(&dataplane, Arc::clone(&metrics)));
        let mut reconciler = Self {
            dataplane,
            planner,
            ledger,
            started: Instant::now(),
            retry: None,
            kept: None,
            first: Report::default(),
            metrics,
            verdicts,
            stale: stale.transpose()?,
            probed,
            unwritten: Vec::new(),
        };
        if !complete {
            reconciler.carry_over()?;
            reconciler.kept = Some(Kept::new(&reconciler.ledger, reconciler.planner.plan()));
        }
        let reconciled = reconciler.compare();
        reconciler.first = reconciled.report;
        reconciler.write(&reconciled)?;
        reconciler.follow_all();
        Ok(reconciler)
    }

    /// Lets the programs work on these maps, and says in one line what was found and done.
    pub(super) fn attach(&mut self) -> anyhow::Result<String> {
        let attached = self.dataplane.attach()?;
        let Report { added, changed, removed, unchanged, kept, repaired, .. } = self.first;
        let usage = self.ledger.usage();
        Ok(format!(
            "ready: {} frontends and {} backends in {}; maps: {} adopted, {added} added, \
             {changed} changed, {removed} removed, {repaired} repaired; programs: {} kept, {} \
             replaced, {} attached",
            usage.frontends_v4 + usage.frontends_v6,
            usage.backends,
            self.dataplane.pin().display(),
            unchanged + kept,
            attached.kept,
            attached.replaced,
            attached.created,
        ))
    }

    /// What the Plan could not honour, and what did not fit.
    pub(super) fn problems(&self) -> impl Iterator<Item = Problem> {
        let planned = self.planner.problems().iter().cloned().chain(self.ledger.problems());
        planned.chain(self.stale.as_ref().and_then(StaleConnections::problem))
    }

    /// The node of this agent.
    pub(super) fn node(&self) -> &Node {
        &self.planner.snapshot().node
    }

    /// Every caller in the maps, by the id of its cgroup.
    pub(super) fn callers(&self) -> anyhow::Result<BTreeMap<u64, Caller>> {
        Ok(self.dataplane.callers()?)
    }

    /// Writes, or with none removes, the caller of a cgroup.
    pub(super) fn set_caller(
        &mut self,
        cgroup: u64,
        caller: Option<&Caller>,
    ) -> anyhow::Result<()> {
        Ok(self.dataplane.set_caller(cgroup, caller)?)
    }

    /// Takes note of how many Pods' cgroups there are, and of how many the Pod is not known.
    pub(super) fn count_callers(&self, count: (usize, usize)) {
        self.metrics.callers(count);
    }

    /// What is planned at present.
    pub(super) fn plan(&self) -> &Plan {
        self.planner.plan()
    }

    /// How the data path is, and whether this node is to get connections from outside.
    pub(super) fn health(&self) -> Health {
        Health {
            programmed: self.retry.is_none(),
            node_deleting: self.planner.snapshot().node.deleting,
        }
    }

    /// Takes changes of the cluster's state into the maps.
    pub(super) fn change(
        &mut self,
        changes: impl IntoIterator<Item = Change>,
        arrivals: Vec<Arrival>,
    ) {
        let since = Instant::now();
        self.unwritten.extend(arrivals);
        let delta = self.planner.change(changes);
        let delta = match &mut self.kept {
            Some(kept) => kept.admit(delta),
            None => delta,
        };
        if self.retry.is_some() {
            // The Plan is compared at the retry.
            return;
        }
        let reconciled = self.ledger.apply(&delta, self.now());
        let steps = reconciled.steps.len();
        self.attempt(&reconciled);
        let (verdicts, scene) = self.scene();
        verdicts.follow(&delta, scene);
        if let Some(stale) = self.stale.as_mut().filter(|_| self.kept.is_none()) {
            stale.follow(&delta, self.planner.plan(), self.planner.snapshot());
        }
        self.moved();
        debug!(steps, microseconds = since.elapsed().as_micros(), "applied a change");
    }

    /// Takes in the changes that made the state complete: from here on nothing is kept.
    pub(super) fn complete(
        &mut self,
        changes: impl IntoIterator<Item = Change>,
        arrivals: Vec<Arrival>,
    ) {
        if self.kept.take().is_none() {
            return self.change(changes, arrivals);
        }
        self.planner.change(changes);
        if self.retry.is_some() {
            return;
        }
        let reconciled = self.compare();
        info!(
            report = ?reconciled.report,
            "complete: all that was not known is read, compared the maps with all of it"
        );
        self.attempt(&reconciled);
        self.follow_all();
    }

    /// How long until [`Self::due`] has something to do.
    pub(super) fn next_due(&self) -> Option<Duration> {
        let due = self.retry.or_else(|| self.ledger.next_expiry());
        let due = due.map(|due| due.saturating_sub(self.now()));
        let judged = self.verdicts.next_due().saturating_sub(monotonic());
        due.into_iter().chain([judged]).min()
    }

    /// Clears what was retired, or tries again after a failure, if it is time to.
    pub(super) fn due(&mut self) {
        let (verdicts, scene) = self.scene();
        verdicts.due(scene);
        self.moved();
        self.metrics.backends(&self.verdicts.counts());
        if self.retry.is_some_and(|at| at > self.now()) {
            return;
        }
        if self.retry.take().is_none() {
            let steps = self.ledger.expire(self.now());
            self.attempt(&Reconciled { steps, ..Reconciled::default() });
            return;
        }
        match read_back(&self.dataplane) {
            Ok(ledger) => {
                self.ledger = ledger;
                let reconciled = self.compare();
                info!(report = ?reconciled.report, "read the maps back and compared them");
                self.attempt(&reconciled);
                self.follow_all();
            }
            Err(error) => {
                error!("could not read the maps back: {error:#}");
                self.retry = Some(self.now() + RETRY);
            }
        }
    }

    /// Tells of a refused call.
    pub(super) fn refused(&self, event: &Event) {
        let reason = etm_abi::Counter::ALL
            .into_iter()
            .find(|counter| *counter as u32 == event.counter)
            .map_or("unknown reason", |counter| describe(counter).1);
        warn!(
            pid = event.pid,
            cgroup = event.cgroup,
            address = %from_abi(&event.address),
            port = u16::from_be(event.port),
            protocol = if event.protocol == etm_abi::PROTOCOL_TCP { "TCP" } else { "UDP" },
            "{reason}"
        );
    }

    /// Takes in what the kernel's programs did with a backend.
    pub(super) fn judged(&mut self, ejection: &Ejection) {
        let what = Happened::ALL.into_iter().find(|what| *what as u32 == ejection.what);
        what.inspect(|what| self.metrics.happened(*what));
        let (verdicts, scene) = self.scene();
        verdicts.hear(ejection, scene);
        self.moved();
    }

    /// Waits for what a probe finds; cancel safe.
    pub(super) async fn next_probed(&mut self) -> Option<Probed> {
        self.probed.recv().await
    }

    /// Takes in what a probe found.
    pub(super) fn probed(&mut self, probed: Probed) {
        let (verdicts, scene) = self.scene();
        verdicts.probed(probed, scene);
        self.moved();
    }

    /// What this node has taken out of service by itself, where that is news.
    pub(super) fn report(&mut self) -> Option<NodeReportSpec> {
        self.verdicts.news()
    }

    /// What became of the connections to some Pods.
    pub(super) fn outcomes(&self, question: &Question) -> OutcomesReport {
        outcomes::report(question, &self.ledger, &self.dataplane)
    }

    fn follow_all(&mut self) {
        let (verdicts, scene) = self.scene();
        verdicts.follow_all(scene);
        if let Some(stale) = self.stale.as_mut().filter(|_| self.kept.is_none()) {
            stale.follow_all(self.planner.plan(), self.planner.snapshot(), &self.dataplane);
        }
        self.moved();
    }

    /// Has sockets follow what became of backends.
    fn moved(&mut self) {
        let moved = self.verdicts.take_moved();
        if let Some(stale) = &mut self.stale {
            moved.into_iter().for_each(|moved| stale.moved(moved));
        }
    }

    fn scene(&mut self) -> (&mut Verdicts, Scene<'_>) {
        let Self { verdicts, planner, ledger, dataplane, .. } = self;
        (verdicts, Scene { planner, ledger, dataplane })
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }
}
