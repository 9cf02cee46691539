use std::sync::Arc;

use etm_model::{
    Change, EjectedNodes, EndpointSlice, Labels, Node, ObjectName, Policy, ReferenceGrant, Route,
    RouteOwner, Service, Weight,
};

use super::service_of;

/// Changes by what they do. Removals go first: a slice or policy that moves to another Service, or is
/// declared where one of the same name was derived, is then right at the end.
#[derive(Debug, Default)]
pub(super) struct Differences {
    pub(super) node: Option<Node>,
    removals: Vec<Change>,
    settings: Vec<Change>,
}

impl Differences {
    pub(super) fn set_service(&mut self, service: Service) {
        self.settings.push(Change::SetService(service));
    }

    pub(super) fn remove_service(&mut self, name: ObjectName) {
        self.removals.push(Change::RemoveService(name));
    }

    pub(super) fn set_slice(&mut self, slice: EndpointSlice) {
        self.settings.push(Change::SetSlice(slice));
    }

    pub(super) fn remove_slice(&mut self, slice: &EndpointSlice) {
        self.removals.push(Change::RemoveSlice(service_of(slice), slice.name.name.clone()));
    }

    pub(super) fn set_policy(&mut self, policy: Policy) {
        self.settings.push(Change::SetPolicy(policy));
    }

    pub(super) fn remove_policy(&mut self, policy: &Policy) {
        self.removals.push(Change::RemovePolicy(policy.target(), policy.name.name.clone()));
    }

    pub(super) fn set_weight(&mut self, pod: ObjectName, weight: Option<Weight>) {
        self.settings.push(Change::SetPodWeight(pod, weight));
    }

    /// An object has these routes now; with none it says nothing any more.
    pub(super) fn set_routes(&mut self, owner: RouteOwner, routes: Vec<Route>) {
        let changes = if routes.is_empty() { &mut self.removals } else { &mut self.settings };
        changes.push(Change::SetRoutes(owner, routes));
    }

    pub(super) fn set_grant(&mut self, grant: ReferenceGrant) {
        self.settings.push(Change::SetGrant(grant));
    }

    pub(super) fn remove_grant(&mut self, name: ObjectName) {
        self.removals.push(Change::RemoveGrant(name));
    }

    pub(super) fn set_namespace(&mut self, name: Arc<str>, labels: Option<Labels>) {
        self.settings.push(Change::SetNamespace(name, labels));
    }

    pub(super) fn set_pod_labels(&mut self, pod: ObjectName, labels: Option<Labels>) {
        self.settings.push(Change::SetPodLabels(pod, labels));
    }

    pub(super) fn set_ejected_nodes(&mut self, nodes: EjectedNodes) {
        self.settings.push(Change::SetEjectedNodes(nodes));
    }

    pub(super) fn into_changes(self) -> Vec<Change> {
        let node = self.node.map(Change::Node);
        node.into_iter().chain(self.removals).chain(self.settings).collect()
    }
}
