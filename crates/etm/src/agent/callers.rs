//! Who the Pods of this node are, by their cgroups, for the frontends that are not for everyone.

use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use etm_model::{Caller, CallerWrite, Callers, Change, Node, PodChange, Problem};
use etm_source::{CgroupChange, Cgroups};
use tracing::debug;

use crate::agent::{RETRY, reconciler::Reconciler};

/// Keeps the map of callers equal to the cgroups and Pods of this node.
pub(super) struct CallerWatch {
    cgroups: Cgroups,
    callers: Callers,
    node: Node,
    /// Why the callers of some cgroups are not in the map.
    failed: BTreeMap<u64, Problem>,
    /// Why it is not known what the map holds.
    unread: Option<Problem>,
    /// When the map is written anew as a whole.
    retry: Option<Instant>,
    /// How many cgroups and Pods there are may have changed.
    recount: bool,
}

impl CallerWatch {
    /// Begins to follow the Pods' cgroups below a directory, with what the map of callers holds.
    pub(super) fn open(
        root: &Path,
        pods: Vec<PodChange>,
        written: BTreeMap<u64, Caller>,
    ) -> anyhow::Result<Self> {
        let cgroups = Cgroups::open(root)
            .with_context(|| format!("could not follow the cgroups in {}", root.display()))?;
        let callers = Callers::adopt(written);
        let mut watch = Self {
            cgroups,
            callers,
            node: Node::default(),
            failed: BTreeMap::new(),
            unread: None,
            retry: Some(Instant::now()),
            recount: true,
        };
        let found = watch.cgroups.found();
        watch.take_cgroups(found);
        watch.take_pods(pods);
        Ok(watch)
    }

    /// Waits for cgroups that come and go. Cancel safe.
    pub(super) async fn next(&mut self) -> anyhow::Result<Vec<CgroupChange>> {
        self.cgroups.next().await.context("could not follow the cgroups")
    }

    pub(super) fn take_cgroups(&mut self, changes: Vec<CgroupChange>) {
        self.recount |= !changes.is_empty();
        for change in changes {
            debug!(?change, "cgroup");
            match change {
                CgroupChange::Made(cgroup, uid) => self.callers.cgroup_made(cgroup, uid),
                CgroupChange::Gone(cgroup) => self.callers.cgroup_gone(cgroup),
            }
        }
    }

    pub(super) fn take_pods(&mut self, changes: Vec<PodChange>) {
        self.recount |= !changes.is_empty();
        for change in changes {
            match change {
                PodChange::Set(pod) => self.callers.set_pod(&pod),
                PodChange::Remove(_, uid) => self.callers.remove_pod(&uid),
            }
        }
    }

    /// What routes are to know of Pods that came, changed or went: to be taken into the maps before
    /// [`Self::write`] is called.
    pub(super) fn take_changes(&mut self) -> Vec<Change> {
        self.callers.take_changes()
    }

    /// How long until [`Self::write`] has to be called, if nothing else happens.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.retry.map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// The callers that could not be written.
    pub(super) fn problems(&self) -> impl Iterator<Item = Problem> {
        self.failed.values().chain(&self.unread).cloned()
    }

    /// Brings the map up to date; for the first time before the programs are attached.
    pub(super) fn write(&mut self, reconciler: &mut Reconciler) {
        let node = reconciler.node();
        if *node != self.node {
            self.node = node.clone();
            self.callers.set_node(node);
        }
        if std::mem::take(&mut self.recount) {
            reconciler.count_callers(self.callers.count());
        }
        if self.retry.is_some_and(|at| at <= Instant::now()) {
            self.retry = None;
            self.settle(reconciler);
        } else {
            let writes = self.callers.writes();
            self.write_all(reconciler, writes);
        }
    }

    /// Writes whatever the map lacks, and removes what it has too much.
    fn settle(&mut self, reconciler: &mut Reconciler) {
        self.failed.clear();
        self.unread = None;
        match reconciler.callers() {
            Ok(written) => {
                self.callers.correct(written);
                let writes = self.callers.settle();
                self.write_all(reconciler, writes);
            }
            Err(error) => {
                self.unread = Some(unread(&error));
                self.retry_later();
            }
        }
    }

    /// Writes what can be written; one that fails holds up no other.
    fn write_all(&mut self, reconciler: &mut Reconciler, writes: Vec<CallerWrite>) {
        for (cgroup, caller) in writes {
            match reconciler.set_caller(cgroup, caller.as_ref()) {
                Ok(()) => {
                    self.failed.remove(&cgroup);
                }
                Err(error) => {
                    self.failed.insert(cgroup, unwritten(cgroup, caller.as_ref(), &error));
                    self.retry_later();
                }
            }
        }
    }

    fn retry_later(&mut self) {
        self.retry.get_or_insert_with(|| Instant::now() + RETRY);
    }
}

fn unread(error: &anyhow::Error) -> Problem {
    Problem {
        object: "map of callers".into(),
        field: String::new(),
        reason: format!("cannot be read back: {error:#}"),
        hint: format!("callers that are not in it stay so; tried again every {RETRY:?}"),
    }
}

/// What a failed write means for who calls from there.
fn unwritten(cgroup: u64, caller: Option<&Caller>, error: &anyhow::Error) -> Problem {
    let object = match caller {
        Some(caller) if cgroup == etm_abi::CALLER_NODE => format!("Node {}", caller.name),
        Some(caller) if caller.name.is_empty() => format!("Pod with UID {}", caller.uid),
        Some(caller) => format!("Pod {}", caller.name),
        None => format!("cgroup {cgroup}"),
    };
    let (reason, meanwhile) = match caller {
        Some(_) => ("cannot be noted as a caller", "whatever has source ranges refuses it"),
        None => ("is gone, but cannot be struck off the callers", "it takes up room"),
    };
    Problem {
        object,
        field: String::new(),
        reason: format!("{reason}: {error:#}"),
        hint: format!("tried again every {RETRY:?}; until then {meanwhile}"),
    }
}
