//! What the cluster says of the members of a Service port.

use std::collections::HashSet;

use etm_health::{EndpointHealth, endpoints};
use etm_model::{ObjectName, Pool, ServicePort, ServicePortName, Snapshot};

/// The endpoints of a Service port, and those of other Services that only its routes lead to; with
/// the number of the port that is asked for by name.
pub(super) fn known(
    snapshot: &Snapshot,
    name: &ServicePortName,
    port: &ServicePort,
    asked: Option<&str>,
    pools: &[Pool],
) -> Vec<EndpointHealth> {
    let slices = |service: &ObjectName| {
        let slices = snapshot.slices.get(service).into_iter();
        slices.flat_map(|all| all.values()).map(AsRef::as_ref)
    };
    let mut known: Vec<_> = endpoints(slices(&name.service), port, asked).collect();
    let others = snapshot.destinations(&name.service);
    if others.is_empty() {
        return known;
    }
    let own: HashSet<_> = known.iter().map(|endpoint| endpoint.backend).collect();
    let is_member = |endpoint: &EndpointHealth| {
        let backend = &endpoint.backend;
        let has = |pool: &Pool| pool.binary_search_by_key(backend, |m| m.backend).is_ok();
        !own.contains(backend) && pools.iter().any(has)
    };
    for service in others {
        for slice in slices(service) {
            for target in slice.ports.iter().filter(|target| target.protocol == port.protocol) {
                let port = ServicePort { name: target.name.clone(), ..port.clone() };
                let others: Vec<_> = endpoints([slice], &port, asked).filter(is_member).collect();
                known.extend(others);
            }
        }
    }
    known
}
