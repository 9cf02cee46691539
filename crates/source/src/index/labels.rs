//! The labels of Pods, in the namespaces in which a route asks for them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use etm_model::{ObjectName, Route, RouteOwner};

use super::{differences::Differences, selection::Selection};
use crate::{asks::Asks, convert::Pod};

/// Who asks, and what was told.
#[derive(Debug, Default)]
pub(super) struct PodLabels {
    asking: BTreeMap<RouteOwner, Asks>,
    /// Namespaces that were asked for at the last call.
    asked: BTreeSet<Arc<str>>,
    /// Pods whose labels were told, as they were then.
    told: BTreeMap<ObjectName, Arc<Pod>>,
    moved: BTreeSet<ObjectName>,
}

impl PodLabels {
    /// An object has these routes now.
    pub(super) fn set_routes(&mut self, owner: &RouteOwner, routes: &[Route]) {
        let asks = Asks::of(routes);
        if asks.is_empty() {
            self.asking.remove(owner);
        } else {
            self.asking.insert(owner.clone(), asks);
        }
    }

    /// A Pod is another now, or gone.
    pub(super) fn touch(&mut self, pod: &ObjectName) {
        self.moved.insert(pod.clone());
    }

    /// Tells what changes since the last call change.
    pub(super) fn settle(&mut self, selection: &Selection, differences: &mut Differences) {
        let asked: BTreeSet<_> =
            self.asking.values().flat_map(|asks| &asks.pod_labels).cloned().collect();
        let mut stale = std::mem::take(&mut self.moved);
        if asked != self.asked {
            let left = self.told.keys().filter(|pod| !asked.contains(&pod.namespace));
            stale.extend(left.cloned());
            for namespace in asked.difference(&self.asked) {
                stale.extend(selection.pods(namespace).map(|pod| pod.name.clone()));
            }
            self.asked = asked;
        }
        for name in stale {
            let pod = selection.pod(&name).filter(|_| self.asked.contains(&name.namespace));
            let before = match pod {
                Some(pod) => self.told.insert(name.clone(), Arc::clone(pod)),
                None => self.told.remove(&name),
            };
            if before.as_ref().map(|pod| &pod.labels) != pod.map(|pod| &pod.labels) {
                let labels = pod.map(|pod| pod.labels.iter().cloned().collect());
                differences.set_pod_labels(name, labels);
            }
        }
    }
}
