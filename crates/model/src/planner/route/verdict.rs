//! What becomes of a route, and what its owner is told.

use std::collections::BTreeSet;

use super::{destinations::Backends, order};
use crate::{
    object::{ObjectName, Service, ServicePort},
    plan::PlannedRoute,
    problem::Problem,
    route::{Action, CallerShare, DestinationRef, Route, RouteKind, RouteOwner, RoutePort, Rule},
    route_condition::RouteReason,
    routing::{RouteId, route},
    snapshot::Snapshot,
};

/// One thing that is wrong with a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) reason: RouteReason,
    pub(crate) problem: Problem,
}

impl Fault {
    pub(super) fn new(
        route: &Route,
        reason: RouteReason,
        field: &str,
        text: String,
        hint: &str,
    ) -> Self {
        let object = object(&route.owner);
        Self {
            reason,
            problem: Problem { object, field: field.into(), reason: text, hint: hint.into() },
        }
    }
}

/// What becomes of a route.
pub(crate) struct RouteVerdict {
    /// Why it does not count, or only where others do.
    pub(crate) refused: Option<Fault>,
    /// Which of its destinations lead nowhere.
    pub(crate) unresolved: Vec<Fault>,
    /// Those of them, by their fields, that have none of the ports that the route is about.
    pub(crate) portless: BTreeSet<String>,
}

/// The routes of a Service, port by port.
pub(crate) struct Standing<'a> {
    snapshot: &'a Snapshot,
    /// With the ports that a route can be about; none where there is no such Service.
    service: Option<(&'a Service, Vec<(&'a ServicePort, Counting<'a>)>)>,
}

/// The routes that count for a port, the first to be asked first.
type Counting<'a> = Vec<(&'a RouteId, &'a Route)>;

impl<'a> Standing<'a> {
    pub(crate) fn new(snapshot: &'a Snapshot, target: &ObjectName) -> Self {
        let service = snapshot.services.get(target).map(|service| {
            let ports = service.ports.iter();
            let ports = ports.map(|port| (port, order::of_port(snapshot, service, port)));
            (service, ports.collect())
        });
        Self { snapshot, service }
    }

    /// What becomes of a route of the Service.
    pub(crate) fn verdict(&self, id: &RouteId, route: &Route) -> RouteVerdict {
        let Some((service, ports)) = &self.service else {
            let refused = Some(no_target(route));
            return RouteVerdict { refused, unresolved: Vec::new(), portless: BTreeSet::new() };
        };
        let mut covered = ports.iter().filter(|(port, _)| order::covers(route, port)).peekable();
        let refused = if covered.peek().is_none() {
            Some(no_port(route, service))
        } else {
            fault(self.snapshot, id, route).or_else(|| self.shadowed(id, route))
        };
        let mut unresolved: Vec<Fault> = Vec::new();
        let mut portless: Option<BTreeSet<String>> = None;
        for (port, _) in covered {
            let faults = unresolved_from(self.snapshot, service, port, route);
            let lacks = |fault: &&Fault| fault.reason == RouteReason::PortNotFound;
            let lacking = faults.iter().filter(lacks).map(|fault| fault.problem.field.clone());
            let lacking: BTreeSet<_> = lacking.collect();
            portless = Some(portless.map_or_else(|| lacking.clone(), |before| &before & &lacking));
            for fault in faults {
                if !unresolved.contains(&fault) {
                    unresolved.push(fault);
                }
            }
        }
        RouteVerdict { refused, unresolved, portless: portless.unwrap_or_default() }
    }

    /// Whether each of a route's rules, at each of its ports, comes behind another route's that is
    /// for the same callers.
    fn shadowed(&self, id: &RouteId, route: &Route) -> Option<Fault> {
        let (service, ports) = self.service.as_ref()?;
        let mut by = None;
        for (port, routes) in ports.iter().filter(|(port, _)| order::covers(route, port)) {
            let Some(place) = routes.iter().position(|(other, _)| *other == id) else {
                // Left out for another kind of the Gateway API.
                let mut kinds = routes.iter().filter(|(other, _)| other.0.kind.is_gateway());
                by = by.or(kinds.find(|(_, other)| other.consumers == route.consumers).copied());
                continue;
            };
            let earlier = routes.get(..place).unwrap_or_default();
            for rule in &route.rules {
                let hides = |other: &Route| {
                    (other.consumers.is_none() || other.consumers == route.consumers)
                        && other.rules.iter().any(|first| {
                            hides(first, rule) && takes(self.snapshot, service, port, other, first)
                        })
                };
                let hider = earlier.iter().find(|(_, other)| hides(other))?;
                by = by.or(Some(*hider));
            }
        }
        by.map(|(winner, other)| conflict((id, route), (winner, other)))
    }
}

/// What the owners of a Service's routes are told.
pub(in crate::planner) fn problems(target: &ObjectName, snapshot: &Snapshot) -> Vec<Problem> {
    let ids = snapshot.routing.of(target);
    let mut routes = ids.filter_map(|id| Some((id, route(&snapshot.routes, id)?))).peekable();
    if routes.peek().is_none() {
        return Vec::new();
    }
    let standing = Standing::new(snapshot, target);
    let mut told: Vec<Problem> = Vec::new();
    for (id, route) in routes {
        let RouteVerdict { refused, unresolved, portless: _ } = standing.verdict(id, route);
        for fault in refused.into_iter().chain(unresolved) {
            let same = |other: &Problem| {
                (&other.object, &other.field) == (&fault.problem.object, &fault.problem.field)
                    && other.reason == fault.problem.reason
            };
            if !told.iter().any(same) {
                told.push(fault.problem);
            }
        }
    }
    told
}

/// Why a route whose target is there counts nowhere, whatever other routes say.
pub(super) fn fault(snapshot: &Snapshot, (owner, index): &RouteId, route: &Route) -> Option<Fault> {
    if let Some(rule) = route.rules.iter().find(|rule| parts(rule) > PlannedRoute::PARTS) {
        let text = format!("has {} destinations with a weight", parts(rule));
        let hint =
            format!("at most {} may have one; the route does not count", PlannedRoute::PARTS);
        return Some(Fault::new(route, RouteReason::Invalid, &rule.field, text, &hint));
    }
    if owner.kind.is_gateway() {
        return None;
    }
    if snapshot.routing.is_loop(owner, *index) {
        let text = format!("leads back to Service {} along older routes", route.target);
        let hint =
            "let one of them lead elsewhere; until then this one, the youngest, does not count";
        return Some(Fault::new(route, RouteReason::Loop, &route.field, text, hint));
    }
    let empty = |rule: &&Rule| matches!(rule.action, Action::Forward(_)) && parts(rule) == 0;
    if let Some(rule) = route.rules.iter().find(empty) {
        let text = "has no destination with a weight above 0".into();
        let hint = "give one of them a weight, or deny the calls; the route does not count";
        return Some(Fault::new(route, RouteReason::Invalid, &rule.field, text, hint));
    }
    let service = snapshot.services.get(&route.target)?;
    let port = service.ports.iter().find(|port| order::covers(route, port))?;
    let destinations = route.rules.iter().flat_map(|rule| rule.action.destinations());
    let faults = destinations
        .filter_map(|destination| Backends::of(snapshot, service, port, route, destination).err());
    // Of a release both versions were there; one that is deleted has no endpoints.
    let deleted = owner.kind == RouteKind::Release;
    let mut whole = faults.filter(|fault| match fault.reason {
        RouteReason::PortNotFound => false,
        RouteReason::BackendNotFound => !deleted,
        _ => true,
    });
    whole.next().map(|mut fault| {
        fault.problem.hint += "; the route does not count until then";
        *fault
    })
}

fn parts(rule: &Rule) -> usize {
    rule.action.destinations().iter().filter(|destination| destination.weight > 0).count()
}

/// Which destinations lead nowhere from a port.
fn unresolved_from(
    snapshot: &Snapshot,
    service: &Service,
    port: &ServicePort,
    route: &Route,
) -> Vec<Fault> {
    let destinations = route.rules.iter().flat_map(|rule| rule.action.destinations());
    let faults = destinations.filter_map(|destination| {
        match Backends::of(snapshot, service, port, route, destination) {
            Err(fault) => Some(*fault),
            Ok(backends) if backends.has_any() => None,
            Ok(backends) => {
                let subset = if matches!(destination.to, DestinationRef::Subset(_)) {
                    "this subset of "
                } else {
                    ""
                };
                let text = format!("{subset}Service {} has no usable endpoint", backends.service);
                let hint = if route.owner.kind.is_gateway() {
                    "its share is refused until it has one"
                } else {
                    "the rule's other destinations get its share until it has one, and a rule \
                     without any is passed over"
                };
                let reason = RouteReason::NoEndpoints;
                Some(Fault::new(route, reason, &destination.field, text, hint))
            }
        }
    });
    faults.collect()
}

fn conflict((id, route): (&RouteId, &Route), (winner, other): (&RouteId, &Route)) -> Fault {
    let older =
        other.created.is_some() && (route.created.is_none() || other.created < route.created);
    let why = if other.consumers.is_some() && route.consumers.is_none() {
        "is the callers' own"
    } else if winner.0.kind != id.0.kind {
        "is of a kind that comes first"
    } else if older {
        "is older"
    } else {
        "is as old and comes first by name"
    };
    let winner = object(&winner.0);
    let text = format!("{winner}, which {why}, already says where all of its callers go");
    let hint = "that one counts; delete one of the two, or let its rules select fewer callers";
    Fault::new(route, RouteReason::Conflicted, &route.field, text, hint)
}

/// Whether the first of two rules is for everyone that the other one is for.
fn hides(first: &Rule, other: &Rule) -> bool {
    let covers = |share: &CallerShare| {
        share.is_whole()
            || other
                .share
                .is_some_and(|asked| asked.salt == share.salt && asked.parts <= share.parts)
    };
    (first.from.is_empty() || first.from == other.from) && first.share.as_ref().is_none_or(covers)
}

/// Whether a rule is not passed over.
fn takes(
    snapshot: &Snapshot,
    service: &Service,
    port: &ServicePort,
    route: &Route,
    rule: &Rule,
) -> bool {
    let mut destinations = match &rule.action {
        Action::Forward(destinations) if !route.owner.kind.is_gateway() => destinations.iter(),
        _ => return true,
    };
    destinations.any(|destination| {
        let backends = Backends::of(snapshot, service, port, route, destination);
        destination.weight > 0 && backends.is_ok_and(|backends| backends.has_any())
    })
}

/// What is told of a route that has to be left out on this node.
pub(super) fn too_many_classes(route: &Route) -> Problem {
    Problem {
        object: object(&route.owner),
        field: route.field.to_string(),
        reason: format!(
            "callers on this node fall into more than {} classes at a port of Service {}",
            PlannedRoute::CLASSES,
            route.target
        ),
        hint: "let fewer rules tell them apart; the route does not count on this node".into(),
    }
}

fn no_target(route: &Route) -> Fault {
    let reason = if route.owner.kind.is_gateway() {
        RouteReason::NoMatchingParent
    } else {
        RouteReason::TargetNotFound
    };
    let text = format!("there is no Service {} that this proxy handles", route.target);
    let hint = "create it, or correct the name; headless and ExternalName Services have no address \
                at which to choose; the route counts once there is one";
    Fault::new(route, reason, &route.field, text, hint)
}

fn no_port(route: &Route, service: &Service) -> Fault {
    let reason = if route.owner.kind.is_gateway() {
        RouteReason::NoMatchingParent
    } else {
        RouteReason::PortNotFound
    };
    let protocol = route.protocol.map(|protocol| format!("{protocol} ")).unwrap_or_default();
    let asked = match &route.port {
        RoutePort::Every => String::new(),
        RoutePort::Name(name) => format!(" named {name}"),
        RoutePort::Number(number) => format!(" {number}"),
    };
    let text = format!("Service {} has no {protocol}port{asked}", service.name);
    let hint = "name one of its ports; the route counts once there is one";
    Fault::new(route, reason, &route.field, text, hint)
}

/// As problems name it.
fn object(owner: &RouteOwner) -> String {
    format!("{} {}", owner.kind.name(), owner.name)
}
