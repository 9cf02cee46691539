use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use etm_model::{EndpointSlice, ObjectName};

use super::differences::Differences;
use crate::{
    convert::{Pod, PodSelection},
    derive::{self, Derived},
};

type Label = (Arc<str>, Arc<str>);

/// Above this many changed Pods of one namespace, all its Services are looked at, and not each
/// one matched with each Pod.
const MATCH_SINGLY: usize = 8;

/// Services with selectors, and the slices that they get from Pods for want of declared ones.
#[derive(Debug, Default)]
pub(super) struct Selection {
    namespaces: HashMap<Arc<str>, Namespace>,
    derived: BTreeMap<ObjectName, Derived>,
    /// Services to look at again.
    stale: BTreeSet<ObjectName>,
    /// Namespaces in which Pods changed, with the states of those before and after.
    moved: BTreeMap<Arc<str>, Vec<Arc<Pod>>>,
}

#[derive(Debug, Default)]
struct Namespace {
    services: BTreeMap<Arc<str>, Arc<PodSelection>>,
    /// How many slices are declared for a Service.
    slices: HashMap<Arc<str>, usize>,
    pods: BTreeMap<Arc<str>, Arc<Pod>>,
    by_label: HashMap<Label, BTreeSet<Arc<str>>>,
}

impl Selection {
    pub(super) fn set_service(&mut self, name: &ObjectName, selection: Option<Arc<PodSelection>>) {
        let namespace = self.namespace(name);
        match selection {
            Some(selection) => namespace.services.insert(Arc::clone(&name.name), selection),
            None => namespace.services.remove(&name.name),
        };
        self.stale.insert(name.clone());
    }

    /// A slice of this Service is declared.
    pub(super) fn add_slice(&mut self, service: &ObjectName) {
        let slices = &mut self.namespace(service).slices;
        *slices.entry(Arc::clone(&service.name)).or_default() += 1;
        self.stale.insert(service.clone());
    }

    /// A slice of this Service is no longer declared.
    pub(super) fn drop_slice(&mut self, service: &ObjectName) {
        let slices = &mut self.namespace(service).slices;
        if let Some(count) = slices.get_mut(&service.name) {
            *count -= 1;
            if *count == 0 {
                slices.remove(&service.name);
            }
        }
        self.stale.insert(service.clone());
    }

    pub(super) fn set_pod(
        &mut self,
        name: &ObjectName,
        before: Option<&Arc<Pod>>,
        after: Option<Arc<Pod>>,
    ) {
        let namespace = self.namespace(name);
        if let Some(before) = before {
            namespace.pods.remove(&name.name);
            namespace.unlabel(before);
        }
        if let Some(after) = &after {
            namespace.pods.insert(Arc::clone(&name.name), Arc::clone(after));
            namespace.label(after);
        }
        let moved = self.moved.entry(Arc::clone(&name.namespace)).or_default();
        moved.extend(before.cloned().into_iter().chain(after));
    }

    /// Makes the slices of all Services anew that changes since the last call touch.
    pub(super) fn rederive(&mut self, differences: &mut Differences) {
        self.mark_selecting();
        for name in std::mem::take(&mut self.stale) {
            let after =
                self.namespaces.get(&name.namespace).map(|namespace| namespace.derive(&name));
            let after = after.unwrap_or_default();
            let before = if after == Derived::default() {
                self.derived.remove(&name)
            } else {
                self.derived.insert(name.clone(), after.clone())
            };
            compare(&before.unwrap_or_default().slices, after.slices, differences);
        }
        self.namespaces.retain(|_, namespace| !namespace.is_empty());
    }

    /// Services whose named target port no Pod has: with its place in `spec.ports`.
    pub(super) fn unresolved(&self) -> impl Iterator<Item = (&ObjectName, usize)> {
        let derived = self.derived.iter();
        derived.flat_map(|(name, derived)| derived.unresolved.iter().map(move |i| (name, *i)))
    }

    /// The Pods of a namespace, by name.
    pub(super) fn pods(&self, namespace: &str) -> impl Iterator<Item = &Arc<Pod>> {
        self.namespaces.get(namespace).into_iter().flat_map(|namespace| namespace.pods.values())
    }

    /// A Pod.
    pub(super) fn pod(&self, name: &ObjectName) -> Option<&Arc<Pod>> {
        self.namespaces.get(&name.namespace)?.pods.get(&name.name)
    }

    fn mark_selecting(&mut self) {
        for (name, pods) in std::mem::take(&mut self.moved) {
            let Some(namespace) = self.namespaces.get(&name) else { continue };
            let touched = namespace.services.iter().filter(|(service, selection)| {
                !namespace.slices.contains_key(*service)
                    && (pods.len() > MATCH_SINGLY
                        || pods.iter().any(|pod| pod.matches(&selection.selector)))
            });
            let touched = touched.map(|(service, _)| ObjectName {
                namespace: Arc::clone(&name),
                name: Arc::clone(service),
            });
            self.stale.extend(touched);
        }
    }

    fn namespace(&mut self, name: &ObjectName) -> &mut Namespace {
        self.namespaces.entry(Arc::clone(&name.namespace)).or_default()
    }
}

impl Namespace {
    fn derive(&self, service: &ObjectName) -> Derived {
        match self.services.get(&service.name) {
            Some(selection) if !self.slices.contains_key(&service.name) => {
                derive::endpoint_slices(service, selection, self.candidates(selection))
            }
            _ => Derived::default(),
        }
    }

    /// The Pods with the rarest of the selector's labels, ordered by name.
    fn candidates(&self, selection: &PodSelection) -> impl Iterator<Item = &Pod> {
        let sets = selection.selector.iter().map(|label| self.by_label.get(label));
        let rarest = sets.min_by_key(|set| set.map_or(0, BTreeSet::len)).flatten();
        rarest.into_iter().flatten().filter_map(|name| self.pods.get(name)).map(AsRef::as_ref)
    }

    fn label(&mut self, pod: &Pod) {
        for label in &pod.labels {
            let pods = self.by_label.entry(label.clone()).or_default();
            pods.insert(Arc::clone(&pod.name.name));
        }
    }

    fn unlabel(&mut self, pod: &Pod) {
        for label in &pod.labels {
            if let Some(pods) = self.by_label.get_mut(label) {
                pods.remove(&pod.name.name);
                if pods.is_empty() {
                    self.by_label.remove(label);
                }
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.services.is_empty() && self.slices.is_empty() && self.pods.is_empty()
    }
}

fn compare(before: &[EndpointSlice], after: Vec<EndpointSlice>, differences: &mut Differences) {
    for old in before {
        if !after.iter().any(|new| new.name == old.name) {
            differences.remove_slice(old);
        }
    }
    for new in after {
        if !before.contains(&new) {
            differences.set_slice(new);
        }
    }
}
