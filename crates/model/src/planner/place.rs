//! Where a port of a Service is served, from which endpoints, and for whom.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use ipnet::IpNet;

use super::{claim::Field, pool::Slices};
use crate::object::{Address, AddressKind, Family, Node, Service, ServicePort, TrafficPolicy};

const LOOPBACK: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

/// One place where a port is served.
pub(super) struct Place {
    pub(super) ip: IpAddr,
    pub(super) port: u16,
    /// The field that says so.
    pub(super) field: Field,
    pub(super) policy: TrafficPolicy,
    /// Who may call it; none is everyone.
    pub(super) sources: Option<Arc<[IpNet]>>,
}

impl Place {
    /// A port at one of the Service's addresses.
    pub(super) fn at(service: &Service, address: &Address, port: u16) -> Self {
        Self {
            ip: address.ip,
            port,
            field: Field::Address(address.kind),
            policy: policy(service, address.kind),
            sources: sources(service, address),
        }
    }
}

/// Every place of the port of this index.
pub(super) fn places(
    service: &Service,
    slices: Option<&Slices>,
    node: &Node,
    (index, port): (usize, &ServicePort),
) -> Vec<Place> {
    let addresses = service.addresses.iter();
    let mut places: Vec<_> =
        addresses.map(|address| Place::at(service, address, port.port)).collect();
    if let Some(number) = port.node_port {
        let addresses = node.addresses.iter().chain(&LOOPBACK);
        let served = addresses.filter(|ip| serves(service, slices, Family::of(**ip)));
        places.extend(served.map(|ip| Place {
            ip: *ip,
            port: number,
            field: Field::NodePort(index),
            policy: service.external_policy,
            sources: None,
        }));
    }
    places
}

/// The policy of an address. Every caller is inside of the cluster, and for those the external
/// policy does not count at external and load balancer addresses (API of `externalTrafficPolicy`).
fn policy(service: &Service, kind: AddressKind) -> TrafficPolicy {
    match kind {
        AddressKind::Cluster => service.internal_policy,
        AddressKind::External | AddressKind::LoadBalancer => TrafficPolicy::Cluster,
    }
}

/// Who may call an address, its family's ranges being all that can.
fn sources(service: &Service, address: &Address) -> Option<Arc<[IpNet]>> {
    let ranges = service.source_ranges.as_ref()?;
    if address.kind != AddressKind::LoadBalancer {
        return None;
    }
    let fits = |range: &&IpNet| Family::of(range.addr()) == Family::of(address.ip);
    if ranges.iter().filter(fits).any(|range| range.prefix_len() == 0) {
        return None;
    }
    if ranges.iter().all(|range| fits(&range)) {
        return Some(Arc::clone(ranges));
    }
    Some(ranges.iter().filter(fits).copied().collect())
}

/// Whether a Service serves a family on the node's addresses.
fn serves(service: &Service, slices: Option<&Slices>, family: Family) -> bool {
    let cluster = || {
        let addresses = service.addresses.iter();
        addresses.filter(|address| address.kind == AddressKind::Cluster)
    };
    if cluster().next().is_some() {
        return cluster().any(|address| Family::of(address.ip) == family);
    }
    slices.is_some_and(|slices| slices.values().any(|slice| slice.family == family))
}
