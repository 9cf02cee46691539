use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::object::{EndpointSlice, Node, ObjectName, Service};

/// The state of the cluster as one node needs it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The node of this agent.
    pub node: Node,
    /// Services by name.
    pub services: BTreeMap<ObjectName, Service>,
    /// EndpointSlices by the Service that they belong to (it may not exist), then by name. Shared:
    /// most Services have one, and a map's node has room for eleven.
    pub slices: BTreeMap<ObjectName, BTreeMap<Arc<str>, Arc<EndpointSlice>>>,
}

/// One change of the cluster's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// This node, or what is known of it, is another.
    Node(Node),
    /// A Service was made or changed.
    SetService(Service),
    /// A Service is gone, or is no longer this proxy's.
    RemoveService(ObjectName),
    /// An EndpointSlice was made or changed.
    SetSlice(EndpointSlice),
    /// An EndpointSlice is gone: the Service that it named, and its own name.
    RemoveSlice(ObjectName, Arc<str>),
}

/// The Services that a change touches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Affected {
    /// Every Service.
    All,
    /// These.
    Services(BTreeSet<ObjectName>),
}

impl Snapshot {
    /// Takes one change in, and says which Services it touches.
    ///
    /// A slice that moves to another Service arrives as a removal and an addition.
    pub fn change(&mut self, change: Change) -> Affected {
        let service = match change {
            Change::Node(node) => {
                let before = std::mem::replace(&mut self.node, node);
                // No Service is planned otherwise on a node that goes away.
                let same = before == Node { deleting: before.deleting, ..self.node.clone() };
                return if same { Affected::Services(BTreeSet::new()) } else { Affected::All };
            }
            Change::SetService(service) => {
                let name = service.name.clone();
                self.services.insert(name.clone(), service);
                name
            }
            Change::RemoveService(name) => {
                self.services.remove(&name);
                name
            }
            Change::SetSlice(slice) => {
                let service = ObjectName {
                    namespace: Arc::clone(&slice.name.namespace),
                    name: Arc::clone(&slice.service),
                };
                let name = Arc::clone(&slice.name.name);
                self.slices.entry(service.clone()).or_default().insert(name, Arc::new(slice));
                service
            }
            Change::RemoveSlice(service, slice) => {
                if let Some(slices) = self.slices.get_mut(&service) {
                    slices.remove(&slice);
                    if slices.is_empty() {
                        self.slices.remove(&service);
                    }
                }
                service
            }
        };
        Affected::Services(BTreeSet::from([service]))
    }
}
