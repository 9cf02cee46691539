//! Which routes count for a port, in the order in which they are asked.

use std::{cmp::Ordering, collections::BTreeMap, sync::Arc};

use super::verdict;
use crate::{
    object::{Protocol, Service, ServicePort},
    route::{Route, RouteKind, RoutePort},
    routing::{RouteId, route},
    snapshot::Snapshot,
};

/// The routes that count for a port, the first to be asked first.
pub(super) fn of_port<'a>(
    snapshot: &'a Snapshot,
    service: &Service,
    port: &ServicePort,
) -> Vec<(&'a RouteId, &'a Route)> {
    let ids = snapshot.routing.of(&service.name);
    let routes = ids.filter_map(|id| Some((id, route(&snapshot.routes, id)?)));
    let mut routes: Vec<_> = routes
        .filter(|(_, route)| covers(route, port))
        .filter(|(id, route)| verdict::fault(snapshot, id, route).is_none())
        .collect();
    routes.sort_unstable_by(|one, other| before(*one, *other));
    keep_one_kind(&mut routes);
    routes
}

/// Whether a route is about a port.
pub(super) fn covers(route: &Route, port: &ServicePort) -> bool {
    port.protocol != Protocol::Sctp
        && route.protocol.is_none_or(|protocol| protocol == port.protocol)
        && names(&route.port, port)
}

/// Whether a port is meant.
pub(super) fn names(asked: &RoutePort, port: &ServicePort) -> bool {
    match asked {
        RoutePort::Every => true,
        RoutePort::Name(name) => *name == port.name,
        RoutePort::Number(number) => *number == port.port,
    }
}

/// Consumer routes of the Gateway API come before its others, whatever their kinds.
fn before(one: (&RouteId, &Route), other: (&RouteId, &Route)) -> Ordering {
    fn key<'a>((id, route): (&'a RouteId, &'a Route)) -> impl Ord + 'a {
        let kind = &id.0.kind;
        let producer = kind.is_gateway().then_some(route.consumers.is_none());
        let age = (route.created.is_none(), route.created);
        let ours = (!kind.is_gateway()).then_some(*kind);
        (kind.is_gateway(), ours, producer, *kind, age, &id.0.name, id.1)
    }
    key(one).cmp(&key(other))
}

/// Of the Gateway API's kinds only one counts at a port for the same callers (GEP-1294).
fn keep_one_kind(routes: &mut Vec<(&RouteId, &Route)>) {
    let mut first: BTreeMap<Option<Arc<str>>, RouteKind> = BTreeMap::new();
    routes.retain(|(id, route)| {
        let kind = id.0.kind;
        !kind.is_gateway() || *first.entry(route.consumers.clone()).or_insert(kind) == kind
    });
}
