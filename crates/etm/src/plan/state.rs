//! The state of the cluster with the callers of this node, each under a number of its own.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use etm_model::{
    Affected, CALLER_NODE_NUMBER, CallerNumber, CallerPod, Change, ObjectName, Pod, PodChange,
    Snapshot,
};

/// What is planned.
#[derive(Clone, Default)]
pub(super) struct State {
    snapshot: Snapshot,
    /// Pods of this node, and the number that each keeps.
    numbers: BTreeMap<ObjectName, CallerNumber>,
    /// UIDs of those that are there.
    there: BTreeMap<ObjectName, Arc<str>>,
}

impl State {
    pub(super) fn new(snapshot: Snapshot) -> Self {
        Self { snapshot, ..Self::default() }
    }

    pub(super) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    pub(super) fn change(&mut self, change: Change) -> Affected {
        self.snapshot.change(change)
    }

    /// The Pods that call.
    pub(super) fn callers(&self) -> BTreeSet<&ObjectName> {
        self.there.keys().collect()
    }

    /// The number of a Pod.
    pub(super) fn number(&self, pod: &ObjectName) -> Option<CallerNumber> {
        self.there.get(pod).and_then(|_| self.numbers.get(pod)).copied()
    }

    /// Takes in what became of Pods: the changes of callers that this means.
    pub(super) fn number_pods(&mut self, changes: Vec<PodChange>) -> Vec<Change> {
        let callers = changes.into_iter().filter_map(|change| match change {
            PodChange::Set(pod) => {
                let next = CALLER_NODE_NUMBER + 1;
                let next = next.checked_add(CallerNumber::try_from(self.numbers.len()).ok()?)?;
                let number = *self.numbers.entry(pod.name.clone()).or_insert(next);
                self.there.insert(pod.name.clone(), Arc::clone(&pod.uid));
                Some(Change::SetCaller(number, Some(caller(pod))))
            }
            PodChange::Remove(name, uid) => {
                // One of the same name may have come before this one's end is told.
                if self.there.get(&name) != Some(&uid) {
                    return None;
                }
                self.there.remove(&name);
                let number = self.numbers.get(&name)?;
                Some(Change::SetCaller(*number, None))
            }
        });
        callers.collect()
    }
}

fn caller(pod: Pod) -> CallerPod {
    CallerPod {
        name: Some(pod.name),
        labels: pod.labels.into_iter().collect(),
        service_account: pod.service_account,
        addresses: pod.addresses,
    }
}
