//! What an API server would keep of an object that is there when it is applied anew.

use std::sync::Arc;

use etm_model::{Address, AddressKind, Change, ObjectName, Service, Snapshot};

/// The changes as they would come from the cluster: with the time at which each object was made, and
/// with what was given to it that its manifest does not say.
pub(super) fn as_applied(changes: Vec<Change>, snapshot: &Snapshot) -> Vec<Change> {
    let mut applied = Vec::with_capacity(changes.len());
    for change in changes {
        match change {
            Change::SetService(service) => {
                applied.push(Change::SetService(keep_given(service, snapshot)));
            }
            Change::SetPolicy(mut policy) => {
                let name = &policy.name;
                let before = snapshot.policies.iter().find_map(|(target, policies)| {
                    let found = policies.get(&name.name)?;
                    (found.name == *name).then_some((target, found))
                });
                if let Some((target, before)) = before {
                    policy.created = policy.created.or(before.created);
                    if *target != policy.target() {
                        let name = Arc::clone(&policy.name.name);
                        applied.push(Change::RemovePolicy(target.clone(), name));
                    }
                }
                applied.push(Change::SetPolicy(policy));
            }
            Change::SetSlice(slice) => {
                let service = ObjectName {
                    namespace: Arc::clone(&slice.name.namespace),
                    name: Arc::clone(&slice.service),
                };
                let before = snapshot.slices.iter().find(|(target, slices)| {
                    target.namespace == slice.name.namespace
                        && slices.contains_key(&slice.name.name)
                });
                if let Some((target, _)) = before.filter(|(target, _)| **target != service) {
                    let name = Arc::clone(&slice.name.name);
                    applied.push(Change::RemoveSlice(target.clone(), name));
                }
                applied.push(Change::SetSlice(slice));
            }
            Change::SetRoutes(owner, mut routes) => {
                let before = snapshot.routes.get(&owner).and_then(|routes| routes.first());
                for route in &mut routes {
                    route.created = route.created.or(before.and_then(|before| before.created));
                }
                applied.push(Change::SetRoutes(owner, routes));
            }
            other => applied.push(other),
        }
    }
    applied
}

/// A cluster gives addresses and node ports to a Service and keeps them.
fn keep_given(mut service: Service, snapshot: &Snapshot) -> Service {
    let Some(before) = snapshot.services.get(&service.name) else { return service };
    service.created = service.created.or(before.created);
    for kind in [AddressKind::Cluster, AddressKind::LoadBalancer] {
        let of_kind = |address: &&Address| address.kind == kind;
        if !service.addresses.iter().any(|address| of_kind(&address)) {
            service.addresses.extend(before.addresses.iter().filter(of_kind));
        }
    }
    for port in &mut service.ports {
        let same = |other: &&etm_model::ServicePort| {
            other.port == port.port && other.protocol == port.protocol
        };
        if port.node_port.is_none() {
            port.node_port = before.ports.iter().find(same).and_then(|same| same.node_port);
        }
    }
    service
}
