//! What the controller says of endpoints and nodes.

use std::{collections::BTreeSet, sync::Arc};

use etm_health::{MonitorEjection, NodeFault, Suspect};
use etm_model::{
    Ejected, EjectedEndpoint, EjectedNodes, EndpointSlice, ObjectName, ServicePortName, Snapshot,
};

use super::index::Index;

/// What monitors say of a Service's endpoints, as the tracker takes it.
pub(super) fn monitored(ejected: &[Ejected], service: &ObjectName) -> Vec<MonitorEjection> {
    let suspect = |endpoint: &EjectedEndpoint| match endpoint {
        EjectedEndpoint::Pod(name) => Suspect::Pod(ObjectName {
            namespace: Arc::clone(&service.namespace),
            name: Arc::clone(name),
        }),
        EjectedEndpoint::Address(address) => Suspect::Address(*address),
    };
    let told = ejected.iter().map(|ejected| MonitorEjection {
        suspect: suspect(&ejected.endpoint),
        monitor: Arc::clone(&ejected.monitor),
        message: Arc::clone(&ejected.message),
    });
    told.collect()
}

/// What is said of nodes, as the tracker takes it.
pub(super) fn faults(nodes: &EjectedNodes) -> impl Iterator<Item = (Arc<str>, NodeFault)> {
    nodes.iter().map(|(name, node)| {
        let fault =
            NodeFault { reason: Arc::clone(&node.reason), message: Arc::clone(&node.message) };
        (Arc::clone(name), fault)
    })
}

/// The Service ports that have an endpoint on one of these nodes, or a route to a Service with one.
pub(super) fn on_nodes(
    nodes: &EjectedNodes,
    snapshot: &Snapshot,
    index: &Index,
) -> BTreeSet<Arc<ServicePortName>> {
    if nodes.is_empty() {
        return BTreeSet::new();
    }
    let there = snapshot
        .slices
        .iter()
        .filter(|(_, slices)| slices.values().any(|slice| touches(slice, nodes)));
    let services = there.flat_map(|(service, _)| snapshot.dependents(service).chain([service]));
    services.flat_map(|service| index.ports_of(service).map(Arc::clone)).collect()
}

/// Whether a slice has an endpoint on one of these nodes.
pub(super) fn touches(slice: &EndpointSlice, nodes: &EjectedNodes) -> bool {
    slice.endpoints.iter().any(|endpoint| {
        let node = endpoint.locality.as_ref().and_then(|locality| locality.node.as_deref());
        node.is_some_and(|node| nodes.contains_key(node))
    })
}
