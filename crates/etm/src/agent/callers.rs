//! Who the Pods of this node are, by their cgroups, for the frontends that are not for everyone.

use std::{path::Path, time::Duration};

use anyhow::Context as _;
use etm_model::{CallerWrite, Callers, Node, PodChange};
use etm_source::{CgroupChange, Cgroups};
use tracing::{debug, error};

use crate::agent::{RETRY, reconciler::Reconciler};

/// Keeps the map of callers equal to the cgroups and Pods of this node.
pub(super) struct CallerWatch {
    cgroups: Cgroups,
    callers: Callers,
    node: Node,
    /// A write failed: what the map holds is not known.
    failed: bool,
}

impl CallerWatch {
    /// Begins to follow the Pods' cgroups below a directory, and writes what is known by now: to
    /// be called before the programs are attached.
    pub(super) fn open(
        root: &Path,
        pods: Vec<PodChange>,
        reconciler: &mut Reconciler,
    ) -> anyhow::Result<Self> {
        let cgroups = Cgroups::open(root)
            .with_context(|| format!("could not follow the cgroups in {}", root.display()))?;
        let callers = Callers::adopt(reconciler.callers()?);
        let mut watch = Self { cgroups, callers, node: Node::default(), failed: true };
        let found = watch.cgroups.found();
        watch.take_cgroups(found);
        watch.take_pods(pods);
        watch.write(reconciler);
        Ok(watch)
    }

    /// Waits for cgroups that come and go. Cancel safe.
    pub(super) async fn next(&mut self) -> anyhow::Result<Vec<CgroupChange>> {
        self.cgroups.next().await.context("could not follow the cgroups")
    }

    pub(super) fn take_cgroups(&mut self, changes: Vec<CgroupChange>) {
        for change in changes {
            debug!(?change, "cgroup");
            match change {
                CgroupChange::Made(cgroup, uid) => self.callers.cgroup_made(cgroup, uid),
                CgroupChange::Gone(cgroup) => self.callers.cgroup_gone(cgroup),
            }
        }
    }

    pub(super) fn take_pods(&mut self, changes: Vec<PodChange>) {
        for change in changes {
            match change {
                PodChange::Set(pod) => self.callers.set_pod(&pod),
                PodChange::Remove(_, uid) => self.callers.remove_pod(&uid),
            }
        }
    }

    /// How long until [`Self::write`] has to be called, if nothing else happens.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.failed.then_some(RETRY)
    }

    /// Brings the map up to date.
    pub(super) fn write(&mut self, reconciler: &mut Reconciler) {
        let node = reconciler.node();
        if *node != self.node {
            self.node = node.clone();
            self.callers.set_node(node);
        }
        let writes = if std::mem::take(&mut self.failed) {
            self.callers.settle()
        } else {
            self.callers.writes()
        };
        if let Err(error) = write_all(reconciler, writes) {
            error!("callers were not written, and are tried again: {error:#}");
            self.failed = true;
            match reconciler.callers() {
                Ok(written) => self.callers.correct(written),
                Err(error) => error!("callers could not be read back: {error:#}"),
            }
        }
    }
}

fn write_all(reconciler: &mut Reconciler, writes: Vec<CallerWrite>) -> anyhow::Result<()> {
    for (cgroup, caller) in writes {
        reconciler.set_caller(cgroup, caller.as_ref())?;
    }
    Ok(())
}
