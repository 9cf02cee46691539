//! What a Service's `healthCheckNodePort` tells.

use std::collections::BTreeSet;

use super::{claim::Rank, pool::Slices};
use crate::{
    object::{EndpointSlice, Node, Service},
    plan::HealthCheck,
    problem::Problem,
};

/// The port and what it tells, for a Service that has one.
pub(super) fn health_check(
    service: &Service,
    slices: Option<&Slices>,
    node: &Node,
) -> Option<Box<(u16, HealthCheck)>> {
    let port = service.health_check_port?;
    let local_endpoints = slices.map_or(0, |slices| local_endpoints(service, slices, node));
    Some(Box::new((port, HealthCheck { service: service.name.clone(), local_endpoints })))
}

/// How many Pods on this node are ready, those that terminate not counted: a load balancer is to
/// turn away from them while they still serve (KEP-1669).
fn local_endpoints(service: &Service, slices: &Slices, node: &Node) -> usize {
    let joined = |slice: &&EndpointSlice| {
        slice.ports.iter().any(|target| {
            let mut ports = service.ports.iter();
            ports.any(|port| port.name == target.name && port.protocol == target.protocol)
        })
    };
    let slices = slices.values().map(AsRef::as_ref).filter(joined);
    let endpoints = slices.flat_map(|slice| &slice.endpoints);
    // A Pod with an address of each family is one.
    let places: BTreeSet<_> = endpoints
        .filter(|endpoint| endpoint.ready && endpoint.is_on(node))
        .map(|endpoint| (endpoint.pod.as_ref(), endpoint.pod.is_none().then_some(endpoint.address)))
        .collect();
    places.len()
}

/// What the loser of a port is told.
pub(super) fn lost(port: u16, loser: &Rank, winner: &Rank) -> Problem {
    Problem {
        object: format!("Service {}", loser.name),
        field: "spec.healthCheckNodePort".into(),
        reason: format!(
            "{port} belongs to Service {}, which {}",
            winner.name,
            winner.before(loser)
        ),
        hint: format!("Service {} keeps it; give one of the two another port", winner.name),
    }
}
