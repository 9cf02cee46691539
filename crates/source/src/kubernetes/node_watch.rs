use std::{mem, sync::Arc};

use etm_model::Problem;
use kube::runtime::watcher;

use super::{
    AT_ONCE, ConfigurationError, Options,
    connection::Connection,
    kind::Batch,
    nodes::{AllNodes, NodeChange, NodeLeases, NodeMonitors, WrittenHealth},
    statistics::Statistics,
    watch::Watch,
};
use crate::convert::NODE_HEALTH;

/// Where kubelets renew their Leases.
const LEASES: &str = "kube-node-lease";

/// What it takes to tell which nodes work, followed.
///
/// Leases are watched, not listed again and again: at 5,000 nodes a watch brings 500 of them a
/// second, each of which takes some microseconds; a list every five seconds brings twice as many,
/// at once, and tells of each renewal up to five seconds late.
pub struct NodeWatch {
    nodes: Watch<AllNodes>,
    leases: Watch<NodeLeases>,
    monitors: Watch<NodeMonitors>,
    health: Watch<WrittenHealth>,
    statistics: Vec<Arc<Statistics>>,
    batch: Batch,
    complete: bool,
    told: Vec<Problem>,
}

/// What became of nodes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeUpdate {
    /// What changed, in order.
    pub changes: Vec<NodeChange>,
    /// Whether renewals of Leases may have gone unheard since the last update.
    pub interrupted: bool,
    /// All that is wrong with the watches, in a fixed order.
    pub problems: Vec<Problem>,
}

impl NodeWatch {
    /// Prepares to follow the API server; nothing is sent yet. Must be called in a tokio runtime
    /// with I/O and time enabled.
    ///
    /// # Errors
    ///
    /// Where the configuration cannot be used.
    pub async fn open(options: &Options) -> Result<Self, ConfigurationError> {
        let mut connection = Connection::open(options).await?;
        let all = watcher::Config::default;
        let nodes = connection.watch(all())?;
        let leases = connection.watch_in(LEASES, all())?;
        let monitors = connection.watch(all())?;
        let health = connection.watch(all().fields(&format!("metadata.name={NODE_HEALTH}")))?;
        Ok(Self {
            nodes,
            leases,
            monitors,
            health,
            statistics: connection.statistics,
            batch: Batch::default(),
            complete: false,
            told: Vec::new(),
        })
    }

    /// Waits for the next change. Cancel safe. What has come by then is told at once; nothing but
    /// problems is told until every kind was listed to the end, and that is told then.
    pub async fn next(&mut self) -> NodeUpdate {
        loop {
            let lists = self.leases.lists();
            tokio::select! {
                outcome = self.nodes.next() => self.nodes.take(outcome, &mut self.batch),
                outcome = self.leases.next() => self.leases.take(outcome, &mut self.batch),
                outcome = self.monitors.next() => self.monitors.take(outcome, &mut self.batch),
                outcome = self.health.next() => self.health.take(outcome, &mut self.batch),
            }
            for _ in 0..AT_ONCE {
                let batch = &mut self.batch;
                let any = [
                    self.nodes.take_waiting(batch),
                    self.leases.take_waiting(batch),
                    self.monitors.take_waiting(batch),
                    self.health.take_waiting(batch),
                ];
                if !any.contains(&true) {
                    break;
                }
            }
            let interrupted = self.leases.failing().is_some() || self.leases.lists() != lists;
            if let Some(update) = self.update(interrupted) {
                return update;
            }
        }
    }

    /// Whether every kind was listed to the end once; a cluster that does not know etm's kinds has
    /// no objects of them.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// What became of each watch so far.
    #[must_use]
    pub fn statistics(&self) -> &[Arc<Statistics>] {
        &self.statistics
    }

    fn update(&mut self, interrupted: bool) -> Option<NodeUpdate> {
        let complete = self.nodes.table.is_complete()
            && self.leases.table.is_complete()
            && self.monitors.table.is_complete()
            && self.health.table.is_complete();
        let first = complete && !self.complete;
        self.complete |= complete;
        let failing = self.nodes.failing().into_iter().chain(self.leases.failing());
        let failing = failing.chain(self.monitors.failing()).chain(self.health.failing());
        let mut problems: Vec<_> = failing.collect();
        problems.sort();
        let news = problems != self.told;
        self.told.clone_from(&problems);
        if !self.complete {
            return news.then(|| NodeUpdate { problems, ..NodeUpdate::default() });
        }
        let Batch { nodes: changes, .. } = mem::take(&mut self.batch);
        let any = first || news || interrupted || !changes.is_empty();
        any.then_some(NodeUpdate { changes, interrupted, problems })
    }
}
