//! Routes: who gets what.

mod callers;
mod destinations;
mod precedence;

use std::{collections::BTreeSet, sync::Arc};

use etm_model::{
    Action, CALLER_NODE_NUMBER, CallerNumber, CallerPod, CallerSelector, CallerShare, Change,
    Destination, DestinationRef, LabelSelector, Labels, ObjectName, Operator, Options, Plan,
    PlannedRoute, Planner, ReferenceGrant, Requirement, Route, RouteClass, RouteKind, RouteOwner,
    RoutePart, RoutePort, Rule, Service, Snapshot, compile, hash, route_conditions,
};

use crate::cluster::{ip, name, service, slice, snapshot};

const WHOLE: Option<CallerShare> = None;

/// Services cart, cart-v2 and pay with a Pod each, and this node.
fn shop() -> Vec<Change> {
    let mut changes = vec![Change::Node(crate::cluster::this_node(&["192.0.2.1"]))];
    for (index, name) in ["cart", "cart-v2", "pay"].iter().enumerate() {
        changes.push(Change::SetService(service(name, &[&format!("10.0.0.{}", index + 1)])));
        changes.push(Change::SetSlice(slice(name, name, &[&format!("10.1.0.{}", index + 1)])));
    }
    changes
}

fn labels(text: &[(&str, &str)]) -> Labels {
    text.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
}

fn labelled(key: &str, value: &str) -> LabelSelector {
    let operator = Operator::In(vec![value.into()]);
    LabelSelector { requirements: vec![Requirement { key: key.into(), operator }] }
}

fn caller(number: CallerNumber, namespace: &str, pod: &str, text: &[(&str, &str)]) -> Change {
    let pod = CallerPod {
        name: Some(ObjectName::new(namespace, pod)),
        labels: labels(text),
        service_account: "default".into(),
        addresses: Vec::new(),
    };
    Change::SetCaller(number, Some(pod))
}

fn to(service: &str, weight: u32) -> Destination {
    let to = DestinationRef::Service { name: name(service), port: RoutePort::Every };
    Destination { field: "spec.rules[0].to[0]".into(), weight, to }
}

fn rule(from: &[CallerSelector], share: Option<CallerShare>, to: &[Destination]) -> Rule {
    Rule {
        name: Arc::default(),
        field: "spec.rules[0]".into(),
        from: from.to_vec(),
        share,
        action: Action::Forward(to.to_vec()),
    }
}

fn deny(from: &[CallerSelector]) -> Rule {
    Rule { action: Action::Deny, ..rule(from, WHOLE, &[]) }
}

fn of(namespace: &str) -> CallerSelector {
    CallerSelector { namespaces: Some(vec![namespace.into()]), ..CallerSelector::default() }
}

fn route(kind: RouteKind, owner: ObjectName, created: i64, rules: &[Rule]) -> Route {
    Route {
        owner: RouteOwner { kind, name: owner },
        created: Some(created),
        field: "spec.targetRef".into(),
        target: name("cart"),
        port: RoutePort::Every,
        protocol: None,
        consumers: None,
        rules: rules.to_vec(),
        abandons: None,
    }
}

fn ours(owner: &str, created: i64, rules: &[Rule]) -> Route {
    route(RouteKind::TrafficRoute, name(owner), created, rules)
}

fn tcp(owner: &str, created: i64, rules: &[Rule]) -> Route {
    route(RouteKind::TcpRoute, name(owner), created, rules)
}

fn set(route: Route) -> Change {
    Change::SetRoutes(route.owner.clone(), vec![route])
}

fn plan(changes: &[Change]) -> Plan {
    compile(&snapshot(changes), &Options::default())
}

fn planned(changes: &[Change]) -> Option<Arc<PlannedRoute>> {
    let plan = plan(changes);
    let mut frontends = plan.frontends.iter();
    frontends.find(|(key, _)| key.ip == ip("10.0.0.1")).unwrap().1.route.clone()
}

/// What a caller gets: weights, and the last byte of each member's address.
fn got(route: Option<&PlannedRoute>, number: CallerNumber) -> Vec<(u32, Vec<u8>)> {
    let Some(route) = route else { return vec![(1, vec![1])] };
    let class = route.callers.get(&number).copied().unwrap_or_default();
    match &route.classes[usize::from(class)] {
        RouteClass::Denied => vec![(0, vec![])],
        RouteClass::Forward(parts) => parts.iter().map(part).collect(),
    }
}

fn part(part: &RoutePart) -> (u32, Vec<u8>) {
    let last = |ip: std::net::IpAddr| match ip {
        std::net::IpAddr::V4(ip) => ip.octets()[3],
        std::net::IpAddr::V6(_) => panic!("{ip}"),
    };
    (part.weight, part.pool.iter().map(|member| last(member.backend.ip)).collect())
}

/// Of everyone who is not known.
fn all(changes: &[Change]) -> Vec<(u32, Vec<u8>)> {
    got(planned(changes).as_deref(), 0)
}

fn with(more: impl IntoIterator<Item = Change>) -> Vec<Change> {
    shop().into_iter().chain(more).collect()
}

fn reasons(changes: &[Change]) -> Vec<(&'static str, &'static str)> {
    let conditions = route_conditions(&snapshot(changes)).into_values().flatten();
    conditions.map(|c| (c.accepted.reason.name(), c.resolved_refs.reason.name())).collect()
}

fn told(changes: &[Change]) -> Vec<String> {
    plan(changes).problems.iter().map(ToString::to_string).collect()
}

const OWN: (&str, &str) = ("Accepted", "ResolvedRefs");
