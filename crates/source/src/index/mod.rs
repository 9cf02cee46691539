//! Which file declares which objects, and what a change of files changes for the cluster. Pure.

mod claims;
mod differences;
mod labels;
mod node;
mod pod;
mod selection;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use etm_model::{Change, EjectedNodes, ObjectName, PodChange, Problem};

use crate::convert::Pod;
use crate::manifest::{File, Kind, Object, ObjectKey};
use claims::Claims;
use differences::Differences;
use labels::PodLabels;
pub(crate) use node::ThisNode;
use pod::{caller, pod_of, turn_weight};
use selection::Selection;

/// What reading a file came to.
#[derive(Clone, Debug)]
pub(crate) enum Reading {
    /// Its objects.
    Read(File),
    /// It cannot be used, for this reason; its objects stay as they were.
    Broken(Problem),
    /// There is no such file any more.
    Gone,
}

/// The objects of all files, each file in its last good state.
#[derive(Debug)]
pub(crate) struct Index {
    files: BTreeMap<Arc<str>, LastGood>,
    /// Files that something is wrong with, or that never were whole: few, of however many.
    troubled: BTreeSet<Arc<str>>,
    claims: Claims,
    selection: Selection,
    labels: PodLabels,
    node: ThisNode,
    pods: Vec<PodChange>,
}

/// What a file declared when it was last whole.
#[derive(Debug, Default)]
struct LastGood {
    keys: Vec<ObjectKey>,
    problems: Vec<Problem>,
    broken: Option<Problem>,
    /// Whether it ever was whole; what it declares is not known until then.
    known: bool,
}

/// The objects that count for some keys, before files changed.
type Before = BTreeMap<ObjectKey, Option<Arc<Object>>>;

impl Index {
    /// An index without files, for the node of this name with these addresses.
    pub(crate) fn new(node: &str, addresses: Vec<IpAddr>) -> Self {
        Self {
            files: BTreeMap::new(),
            troubled: BTreeSet::new(),
            claims: Claims::default(),
            selection: Selection::default(),
            labels: PodLabels::default(),
            node: ThisNode::new(node, addresses),
            pods: Vec::new(),
        }
    }

    /// Files that are known, in their order.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Arc<str>> {
        self.files.keys()
    }

    /// Files that never were whole, in their order.
    pub(crate) fn unknown_files(&self) -> impl Iterator<Item = &str> {
        self.troubled
            .iter()
            .filter(|name| self.files.get(*name).is_some_and(|file| !file.known))
            .map(|name| &**name)
    }

    /// Takes new states of files in, all at once: an object that moves from one file to another
    /// does not disappear in between. Costs what these files hold, not what there is.
    pub(crate) fn apply(&mut self, readings: Vec<(Arc<str>, Reading)>) -> Vec<Change> {
        let mut before = Before::new();
        for (name, reading) in readings {
            match reading {
                Reading::Broken(problem) => {
                    self.files.entry(Arc::clone(&name)).or_default().broken = Some(problem);
                    self.troubled.insert(name);
                }
                Reading::Gone => {
                    self.troubled.remove(&name);
                    if let Some(old) = self.files.remove(&name) {
                        self.withdraw(&name, old.keys, &mut before);
                    }
                }
                Reading::Read(file) => self.replace(name, file, &mut before),
            }
        }
        self.settle(before)
    }

    /// Takes files in whose objects count instead of those of all others.
    pub(crate) fn suppose(&mut self, files: Vec<(Arc<str>, File)>) -> Vec<Change> {
        let mut before = Before::new();
        for (name, file) in files {
            for declared in &file.objects {
                let key = declared.object.key();
                self.note(&key, &mut before);
                self.claims.remove_all(&key);
            }
            self.replace(name, file, &mut before);
        }
        self.settle(before)
    }

    /// What it changes that other objects may count now than before.
    fn settle(&mut self, before: Before) -> Vec<Change> {
        let mut differences = Differences::default();
        for (key, before) in before {
            let after = self.claims.winner(&key).map(|claim| Arc::clone(&claim.declared.object));
            if before != after {
                self.turn(&key, before.as_deref(), after.as_deref(), &mut differences);
            }
        }
        self.selection.rederive(&mut differences);
        self.labels.settle(&self.selection, &mut differences);
        differences.node = self.node.changed();
        differences.into_changes()
    }

    /// What became of this node's Pods since the last call.
    pub(crate) fn take_pods(&mut self) -> Vec<PodChange> {
        std::mem::take(&mut self.pods)
    }

    /// Takes in the addresses that the node's interfaces have.
    pub(crate) fn set_node_addresses(&mut self, addresses: Vec<IpAddr>) -> Option<Change> {
        self.node.set_given(addresses);
        self.node.changed().map(Change::Node)
    }

    /// All that is wrong at present, in a fixed order.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let files = self.troubled.iter().filter_map(|name| self.files.get(name));
        let mut problems: Vec<Problem> =
            files.flat_map(|file| file.broken.iter().chain(&file.problems)).cloned().collect();
        problems.extend(self.claims.problems());
        for (service, index) in self.selection.unresolved() {
            let key = ObjectKey { kind: Kind::Service, name: service.clone() };
            problems.push(Problem {
                object: self.claims.written(&key),
                field: format!("spec.ports[{index}].targetPort"),
                reason: "no Pod of the Service has a port of this name and protocol".into(),
                hint: "name a port of a container so; the port has no endpoints until then".into(),
            });
        }
        problems.sort();
        problems
    }

    fn replace(&mut self, name: Arc<str>, file: File, before: &mut Before) {
        let old = self.files.remove(&name).unwrap_or_default();
        let stay = file.stay.iter().filter_map(|key| self.claims.of(key, &name).next().cloned());
        let objects: Vec<_> = stay.chain(file.objects).collect();
        self.withdraw(&name, old.keys, before);
        let mut keys = Vec::with_capacity(objects.len());
        for declared in objects {
            let key = declared.object.key();
            self.note(&key, before);
            self.claims.add(&key, Arc::clone(&name), declared);
            keys.push(key);
        }
        if file.problems.is_empty() {
            self.troubled.remove(&name);
        } else {
            self.troubled.insert(Arc::clone(&name));
        }
        let good = LastGood { keys, problems: file.problems, broken: None, known: true };
        self.files.insert(name, good);
    }

    fn withdraw(&mut self, file: &str, keys: Vec<ObjectKey>, before: &mut Before) {
        for key in keys {
            self.note(&key, before);
            self.claims.remove(&key, file);
        }
    }

    fn note(&self, key: &ObjectKey, before: &mut Before) {
        if !before.contains_key(key) {
            let winner = self.claims.winner(key);
            before.insert(key.clone(), winner.map(|claim| Arc::clone(&claim.declared.object)));
        }
    }

    /// A Pod is another caller now.
    fn turn_caller(&mut self, before: Option<&Arc<Pod>>, after: Option<&Arc<Pod>>) {
        let (before, after) = (caller(before, &self.node), caller(after, &self.node));
        if before == after {
            return;
        }
        if let Some(gone) =
            before.filter(|before| after.is_none_or(|after| after.uid != before.uid))
        {
            self.pods.push(PodChange::Remove(gone.name.clone(), Arc::clone(&gone.uid)));
        }
        self.pods.extend(after.map(|pod| PodChange::Set((**pod).clone())));
    }

    /// One object is another now, or there is one, or there is none any more.
    fn turn(
        &mut self,
        key: &ObjectKey,
        before: Option<&Object>,
        after: Option<&Object>,
        differences: &mut Differences,
    ) {
        if key.kind == Kind::Pod {
            self.labels.touch(&key.name);
        }
        if let Some(Object::EndpointSlice(slice)) = before {
            self.selection.drop_slice(&service_of(slice));
        }
        match (before, after) {
            (before, Some(Object::Service(object))) => {
                let same =
                    matches!(before, Some(Object::Service(b)) if b.service == object.service);
                if !same {
                    differences.set_service(object.service.clone());
                }
                self.selection.set_service(&key.name, object.selection.clone());
            }
            (before, Some(Object::Headless(_, pods))) => {
                if let Some(Object::Service(_)) = before {
                    differences.remove_service(key.name.clone());
                }
                self.selection.set_service(&key.name, Some(Arc::clone(pods)));
            }
            (Some(Object::Headless(..)), _) => self.selection.set_service(&key.name, None),
            (Some(Object::Service(_)), _) => {
                differences.remove_service(key.name.clone());
                self.selection.set_service(&key.name, None);
            }
            (before, Some(Object::EndpointSlice(slice))) => {
                if let Some(Object::EndpointSlice(before)) = before
                    && before.service != slice.service
                {
                    differences.remove_slice(before);
                }
                self.selection.add_slice(&service_of(slice));
                differences.set_slice(slice.clone());
            }
            (Some(Object::EndpointSlice(before)), _) => differences.remove_slice(before),
            (before, Some(Object::Pod(pod))) => {
                let before = before.and_then(pod_of);
                self.turn_caller(before, Some(pod));
                turn_weight(&key.name, before, Some(pod), differences);
                self.selection.set_pod(&key.name, before, Some(Arc::clone(pod)));
            }
            (Some(Object::Pod(before)), _) => {
                self.turn_caller(Some(before), None);
                turn_weight(&key.name, Some(before), None, differences);
                self.selection.set_pod(&key.name, Some(before), None);
            }
            (before, Some(Object::TrafficPolicy(policy))) => {
                if let Some(Object::TrafficPolicy(before)) = before
                    && before.service != policy.service
                {
                    differences.remove_policy(before);
                }
                differences.set_policy(policy.clone());
            }
            (Some(Object::TrafficPolicy(before)), _) => differences.remove_policy(before),
            (_, Some(Object::NodeHealth(nodes))) => differences.set_ejected_nodes(nodes.clone()),
            (Some(Object::NodeHealth(_)), _) => {
                differences.set_ejected_nodes(EjectedNodes::new());
            }
            (_, Some(Object::Routes(owner, routes))) => {
                self.labels.set_routes(owner, routes);
                differences.set_routes(owner.clone(), routes.clone());
            }
            (Some(Object::Routes(owner, _)), _) => {
                self.labels.set_routes(owner, &[]);
                differences.set_routes(owner.clone(), Vec::new());
            }
            (_, Some(Object::ReferenceGrant(grant))) => differences.set_grant(grant.clone()),
            (Some(Object::ReferenceGrant(grant)), _) => {
                differences.remove_grant(grant.name.clone());
            }
            (_, Some(Object::Namespace(name, labels))) => {
                differences.set_namespace(Arc::clone(name), Some(labels.clone()));
            }
            (Some(Object::Namespace(name, _)), _) => {
                differences.set_namespace(Arc::clone(name), None);
            }
            (_, Some(Object::Node(node))) => self.node.declare(node),
            (Some(Object::Node(node)), None) => self.node.withdraw(&node.name),
            // Nothing is routed by one that has not begun.
            (_, Some(Object::Release(_))) | (Some(Object::Release(_)) | None, None) => {}
        }
    }
}

/// The Service that a slice names.
fn service_of(slice: &etm_model::EndpointSlice) -> ObjectName {
    ObjectName { namespace: Arc::clone(&slice.name.namespace), name: Arc::clone(&slice.service) }
}

#[cfg(test)]
mod tests;
