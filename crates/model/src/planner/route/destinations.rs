//! From what a route names to Pods.

use std::borrow::Cow;

use super::{order::names, verdict::Fault};
use crate::{
    object::{Family, Node, ObjectName, Protocol, Service, ServicePort, TrafficPolicy},
    plan::{BackendKey, Member},
    planner::{
        balance::Weights,
        policy,
        pool::{self, Endpoints, Slices},
    },
    policy::Policy,
    route::{
        Destination, DestinationRef, LabelSelector, ReferenceGrant, Route, RouteOwner, RoutePort,
    },
    route_condition::RouteReason,
    snapshot::Snapshot,
};

/// Where a destination leads from one port of the target.
pub(super) struct Backends<'a> {
    snapshot: &'a Snapshot,
    slices: Option<&'a Slices>,
    port: Cow<'a, ServicePort>,
    /// Only Pods with these labels.
    subset: Option<&'a LabelSelector>,
    /// The policy of the destination's own, where that is another Service and has one for the port.
    pub(super) policy: Option<&'a Policy>,
    /// The Service.
    pub(super) service: &'a ObjectName,
}

/// Members, and whether they are none since all endpoints are on other nodes.
pub(super) type Found = (Vec<Member>, bool);

impl<'a> Backends<'a> {
    /// What a destination of a route means for calls to a port of the target.
    ///
    /// # Errors
    ///
    /// Why it leads nowhere.
    pub(super) fn of(
        snapshot: &'a Snapshot,
        target: &'a Service,
        port: &'a ServicePort,
        route: &Route,
        destination: &'a Destination,
    ) -> Result<Self, Box<Fault>> {
        let fault = |reason, text, hint: &str| {
            Box::new(Fault::new(route, reason, &destination.field, text, hint))
        };
        let (service, asked, subset) = match &destination.to {
            DestinationRef::Invalid(why) => {
                let hint = "name a Service; its share is refused until then";
                return Err(fault(RouteReason::InvalidKind, why.to_string(), hint));
            }
            DestinationRef::Subset(labels) => (&target.name, None, Some(labels)),
            DestinationRef::Service { name, port } => (name, Some(port), None),
        };
        if !permitted(snapshot, &route.owner, service) {
            let text = format!(
                "no ReferenceGrant in namespace {} permits {} of namespace {} to name Service {}",
                service.namespace,
                route.owner.kind.name(),
                route.owner.name.namespace,
                service.name
            );
            let hint = "create one there, or name a Service of the same namespace";
            return Err(fault(RouteReason::RefNotPermitted, text, hint));
        }
        let slices = snapshot.slices.get(service);
        let found = match (asked, snapshot.services.get(service)) {
            (None, _) => Some(Cow::Borrowed(port)),
            (Some(asked), Some(service)) => port_of(&service.ports, asked, port).map(Cow::Borrowed),
            (Some(asked), None) => {
                let Some(slices) = slices else {
                    let text = format!("there is no Service {service}");
                    let hint = "create it, or correct the name";
                    return Err(fault(RouteReason::BackendNotFound, text, hint));
                };
                port_of(&ports(slices), asked, port).map(|port| Cow::Owned(port.clone()))
            }
        };
        let Some(found) = found else {
            let reason = if route.owner.kind.is_gateway() {
                RouteReason::BackendNotFound
            } else {
                RouteReason::PortNotFound
            };
            let asked = match asked {
                Some(RoutePort::Name(name)) => format!("named {name}"),
                Some(RoutePort::Number(number)) => number.to_string(),
                _ => format!("for calls to port {}", port.port),
            };
            let text = format!("Service {service} has no {} port {asked}", port.protocol);
            return Err(fault(reason, text, "name one of its ports"));
        };
        let policies = snapshot.policies.get(service).filter(|_| *service != target.name);
        let policy = policies.and_then(|policies| policy::of(policies, &found.name));
        Ok(Self { snapshot, slices, port: found, subset, policy, service })
    }

    /// The members for calls of a family to a place of a traffic policy.
    pub(super) fn members(
        &self,
        family: Family,
        policy: TrafficPolicy,
        node: &Node,
        weights: &Weights<'_>,
    ) -> Found {
        let Some(endpoints) = self.endpoints(family, weights) else { return (Vec::new(), false) };
        match policy {
            TrafficPolicy::Cluster => (endpoints.cluster(node), false),
            TrafficPolicy::Local => {
                let local = endpoints.local(node);
                let elsewhere = local.is_empty() && !endpoints.is_empty();
                (local, elsewhere)
            }
        }
    }

    /// Whether there is a usable endpoint anywhere.
    pub(super) fn has_any(&self) -> bool {
        let weights = Weights::default();
        [Family::V4, Family::V6].into_iter().any(|family| {
            self.endpoints(family, &weights).is_some_and(|endpoints| !endpoints.is_empty())
        })
    }

    /// All backends of a family, usable or not.
    pub(super) fn all(&self, family: Family) -> impl Iterator<Item = BackendKey> {
        let slices = self.slices.into_iter().flat_map(|slices| slices.values());
        let endpoints = slices.flat_map(|slice| pool::endpoints(slice, &self.port));
        let meant = endpoints.filter(move |(backend, endpoint)| {
            let pod = endpoint.pod.as_ref();
            Family::of(backend.ip) == family
                && self.subset.is_none_or(|subset| pod.is_some_and(|pod| self.has(subset, pod)))
        });
        meant.map(|(backend, _)| backend)
    }

    fn has(&self, subset: &LabelSelector, pod: &ObjectName) -> bool {
        self.snapshot.pod_labels.get(pod).is_some_and(|labels| subset.matches(labels))
    }

    fn endpoints<'b>(&'b self, family: Family, weights: &'b Weights<'b>) -> Option<Endpoints<'b>> {
        let endpoints = Endpoints::new(self.slices?, &self.port, family, weights);
        Some(match self.subset {
            None => endpoints,
            Some(subset) => endpoints.of_pods(|pod| self.has(subset, pod)),
        })
    }
}

/// Whether an object may name a Service.
fn permitted(snapshot: &Snapshot, owner: &RouteOwner, service: &ObjectName) -> bool {
    if owner.name.namespace == service.namespace {
        return true;
    }
    let grants = snapshot.grants.range(ObjectName::new(&*service.namespace, "")..);
    let mut grants = grants.take_while(|(name, _)| name.namespace == service.namespace);
    grants.any(|(_, grant)| permits(grant, owner, service))
}

fn permits(grant: &ReferenceGrant, owner: &RouteOwner, service: &ObjectName) -> bool {
    let mut from = grant.from.iter();
    from.any(|(kind, namespace)| *kind == owner.kind && *namespace == owner.name.namespace)
        && grant.services.as_ref().is_none_or(|names| names.contains(&service.name))
}

/// The port that is asked for, of the protocol that was called.
fn port_of<'a>(
    ports: &'a [ServicePort],
    asked: &RoutePort,
    called: &ServicePort,
) -> Option<&'a ServicePort> {
    let fits = |port: &&ServicePort| port.protocol == called.protocol;
    let find = |asked: &RoutePort| ports.iter().filter(fits).find(|port| names(asked, port));
    match asked {
        RoutePort::Every => find(&RoutePort::Name(std::sync::Arc::clone(&called.name)))
            .or_else(|| find(&RoutePort::Number(called.port))),
        asked => find(asked),
    }
}

/// The ports of a headless Service, as far as its slices tell: those that it sends to.
fn ports(slices: &Slices) -> Vec<ServicePort> {
    let ports = slices.values().flat_map(|slice| &slice.ports);
    let ports = ports.filter(|port| port.protocol != Protocol::Sctp).map(|port| ServicePort {
        name: std::sync::Arc::clone(&port.name),
        protocol: port.protocol,
        port: port.port,
        node_port: None,
    });
    ports.collect()
}
