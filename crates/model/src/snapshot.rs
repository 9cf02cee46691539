use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    ejection::EjectedNodes,
    object::{EndpointSlice, Node, ObjectName, Service},
    planner::{Matcher, Subject},
    policy::{Policy, Weight},
    route::{CallerNumber, CallerPod, Labels, ReferenceGrant, Route, RouteOwner},
    routing::{Routing, has_subsets, route},
};

/// The state of the cluster as one node needs it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The node of this agent.
    pub node: Node,
    /// Services by name.
    pub services: BTreeMap<ObjectName, Service>,
    /// EndpointSlices by the Service that they belong to (it may not exist), then by name. Shared:
    /// most Services have one, and a map's node has room for eleven.
    pub slices: BTreeMap<ObjectName, BTreeMap<Arc<str>, Arc<EndpointSlice>>>,
    /// `TrafficPolicy` objects by the Service that they are for (it may not exist), then by name.
    pub policies: BTreeMap<ObjectName, BTreeMap<Arc<str>, Arc<Policy>>>,
    /// Pods with the annotation `etm.dev/weight`, as far as a policy asks for it.
    pub pod_weights: BTreeMap<ObjectName, Weight>,
    /// Nodes whose Pods get no connections.
    pub ejected_nodes: EjectedNodes,
    /// What each object says of who calls what.
    pub routes: BTreeMap<RouteOwner, Arc<[Route]>>,
    /// `ReferenceGrant` objects.
    pub grants: BTreeMap<ObjectName, Arc<ReferenceGrant>>,
    /// The Pods of this node that call.
    pub callers: BTreeMap<CallerNumber, Arc<CallerPod>>,
    /// Labels of namespaces, as far as a route asks for them.
    pub namespaces: BTreeMap<Arc<str>, Labels>,
    /// Labels of Pods, as far as a route asks for them.
    pub pod_labels: BTreeMap<ObjectName, Arc<Labels>>,
    /// An index of `routes`.
    pub(crate) routing: Routing,
}

/// One change of the cluster's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// This node, or what is known of it, is another.
    Node(Node),
    /// A Service was made or changed.
    SetService(Service),
    /// A Service is gone, or is no longer this proxy's.
    RemoveService(ObjectName),
    /// An EndpointSlice was made or changed.
    SetSlice(EndpointSlice),
    /// An EndpointSlice is gone: the Service that it named, and its own name.
    RemoveSlice(ObjectName, Arc<str>),
    /// A `TrafficPolicy` was made or changed.
    SetPolicy(Policy),
    /// A `TrafficPolicy` is gone: the Service that it was for, and its own name.
    RemovePolicy(ObjectName, Arc<str>),
    /// A Pod's annotation `etm.dev/weight` is another, or with none gone.
    SetPodWeight(ObjectName, Option<Weight>),
    /// Other nodes are out now, or for other reasons: all of them.
    SetEjectedNodes(EjectedNodes),
    /// What an object says of who calls what is this now, all of it; nothing where it is gone.
    SetRoutes(RouteOwner, Vec<Route>),
    /// A `ReferenceGrant` was made or changed.
    SetGrant(ReferenceGrant),
    /// A `ReferenceGrant` is gone.
    RemoveGrant(ObjectName),
    /// A Pod of this node has this number now, or is another; with none it is gone.
    SetCaller(CallerNumber, Option<CallerPod>),
    /// A namespace has these labels now, or is gone.
    SetNamespace(Arc<str>, Option<Labels>),
    /// A Pod has these labels now, or is gone.
    SetPodLabels(ObjectName, Option<Labels>),
}

/// The Services that a change touches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Affected {
    /// Every Service.
    All,
    /// These.
    Services(BTreeSet<ObjectName>),
}

impl Snapshot {
    /// Takes one change in, and says which Services it touches.
    ///
    /// A slice that moves to another Service arrives as a removal and an addition.
    pub fn change(&mut self, change: Change) -> Affected {
        let touched = match change {
            Change::Node(node) => {
                let before = std::mem::replace(&mut self.node, node);
                // No Service is planned otherwise on a node that goes away.
                let same = before == Node { deleting: before.deleting, ..self.node.clone() };
                return if same { Affected::Services(BTreeSet::new()) } else { Affected::All };
            }
            Change::SetService(service) => {
                let name = service.name.clone();
                self.services.insert(name.clone(), service);
                self.weighed_by(name)
            }
            Change::RemoveService(name) => {
                self.services.remove(&name);
                self.weighed_by(name)
            }
            Change::SetSlice(slice) => {
                let service = ObjectName {
                    namespace: Arc::clone(&slice.name.namespace),
                    name: Arc::clone(&slice.service),
                };
                let name = Arc::clone(&slice.name.name);
                self.slices.entry(service.clone()).or_default().insert(name, Arc::new(slice));
                self.weighed_by(service)
            }
            Change::RemoveSlice(service, slice) => {
                if let Some(slices) = self.slices.get_mut(&service) {
                    slices.remove(&slice);
                    if slices.is_empty() {
                        self.slices.remove(&service);
                    }
                }
                self.weighed_by(service)
            }
            Change::SetPolicy(policy) => {
                let service = policy.target();
                let name = Arc::clone(&policy.name.name);
                self.policies.entry(service.clone()).or_default().insert(name, Arc::new(policy));
                BTreeSet::from([service])
            }
            Change::RemovePolicy(service, policy) => {
                if let Some(policies) = self.policies.get_mut(&service) {
                    policies.remove(&policy);
                    if policies.is_empty() {
                        self.policies.remove(&service);
                    }
                }
                BTreeSet::from([service])
            }
            Change::SetPodWeight(pod, weight) => {
                let affected = self.weighs_pods_of(&pod.namespace);
                match weight {
                    Some(weight) => self.pod_weights.insert(pod, weight),
                    None => self.pod_weights.remove(&pod),
                };
                affected
            }
            Change::SetEjectedNodes(nodes) => {
                self.ejected_nodes = nodes;
                // Who is out is no matter of a plan: the tables keep it.
                BTreeSet::new()
            }
            Change::SetRoutes(owner, routes) => {
                let before = if routes.is_empty() {
                    self.routes.remove(&owner)
                } else {
                    self.routes.insert(owner.clone(), routes.into())
                };
                let touched = self.routing.replace(
                    &owner,
                    before.as_deref().unwrap_or_default(),
                    &self.routes,
                );
                return Affected::Services(touched);
            }
            Change::SetGrant(grant) => {
                let namespace = Arc::clone(&grant.name.namespace);
                self.grants.insert(grant.name.clone(), Arc::new(grant));
                return Affected::Services(self.granted(&namespace));
            }
            Change::RemoveGrant(name) => {
                self.grants.remove(&name);
                return Affected::Services(self.granted(&name.namespace));
            }
            Change::SetCaller(number, caller) => {
                let caller = caller.map(Arc::new);
                let before = match &caller {
                    Some(caller) => self.callers.insert(number, Arc::clone(caller)),
                    None => self.callers.remove(&number),
                };
                let touched = self.told_apart(before.as_deref(), caller.as_deref());
                return Affected::Services(touched);
            }
            Change::SetNamespace(name, labels) => {
                match labels {
                    Some(labels) => self.namespaces.insert(Arc::clone(&name), labels),
                    None => self.namespaces.remove(&name),
                };
                return Affected::Services(self.with_callers_of(&name));
            }
            Change::SetPodLabels(pod, labels) => {
                let touched = self.with_subsets_of(&pod);
                match labels {
                    Some(labels) => self.pod_labels.insert(pod, Arc::new(labels)),
                    None => self.pod_labels.remove(&pod),
                };
                return Affected::Services(touched);
            }
        };
        Affected::Services(self.with_dependents(touched))
    }

    /// The Services that routes of this one lead to.
    pub fn destinations(&self, target: &ObjectName) -> BTreeSet<&ObjectName> {
        let routes = self.routing.of(target).filter_map(|id| route(&self.routes, id));
        routes.flat_map(Route::destinations).collect()
    }

    /// The Services whose routes depend on the endpoints of this one.
    pub fn dependents(&self, service: &ObjectName) -> impl Iterator<Item = &ObjectName> {
        self.routing.dependents(service)
    }

    /// A Service, and those whose policies weigh members by whom it selects.
    fn weighed_by(&self, service: ObjectName) -> BTreeSet<ObjectName> {
        let weighs = |policy: &Policy| {
            let mut weights = policy.load_balancing.service_weights.iter();
            weights.any(|(name, _)| *name == service.name)
        };
        let mut affected = self.targets(&service.namespace, weighs);
        affected.insert(service);
        affected
    }

    /// Services, and those whose routes depend on them.
    fn with_dependents(&self, services: BTreeSet<ObjectName>) -> BTreeSet<ObjectName> {
        let dependents = services.iter().flat_map(|service| self.routing.dependents(service));
        let dependents: Vec<_> = dependents.cloned().collect();
        services.into_iter().chain(dependents).collect()
    }

    /// The Services whose routes a grant of this namespace may permit.
    fn granted(&self, namespace: &str) -> BTreeSet<ObjectName> {
        self.routing.dependents_in(namespace).cloned().collect()
    }

    /// The Services with a rule that is for one of two callers and not for the other.
    fn told_apart(
        &self,
        one: Option<&CallerPod>,
        other: Option<&CallerPod>,
    ) -> BTreeSet<ObjectName> {
        let (matcher, one, other) = (Matcher::new(self), Subject::of(one), Subject::of(other));
        let routes = self.routes.values().flat_map(|routes| routes.iter());
        let differ = routes.filter(|route| {
            let mut rules = route.rules.iter();
            rules.any(|rule| matcher.is_for(route, rule, one) != matcher.is_for(route, rule, other))
        });
        differ.map(|route| route.target.clone()).collect()
    }

    /// The Services whose routes look at the labels of a namespace that has callers here.
    fn with_callers_of(&self, namespace: &Arc<str>) -> BTreeSet<ObjectName> {
        let mut names = self.callers.values().filter_map(|caller| caller.name.as_ref());
        if !names.any(|name| name.namespace == *namespace) {
            return BTreeSet::new();
        }
        let routes = self.routes.values().flat_map(|routes| routes.iter());
        let look = routes
            .filter(|route| route.selectors().any(|selector| selector.namespace_labels.is_some()));
        look.map(|route| route.target.clone()).collect()
    }

    /// The Services that routes divide by labels and that have this Pod.
    fn with_subsets_of(&self, pod: &ObjectName) -> BTreeSet<ObjectName> {
        let targets = self.routing.targets_in(&pod.namespace);
        let divided = targets.filter(|(_, ids)| {
            let mut routes = ids.iter().filter_map(|id| route(&self.routes, id));
            routes.any(has_subsets)
        });
        let has = |service: &ObjectName| {
            let slices = self.slices.get(service).into_iter().flat_map(|slices| slices.values());
            let mut endpoints = slices.flat_map(|slice| &slice.endpoints);
            endpoints.any(|endpoint| endpoint.pod.as_ref() == Some(pod))
        };
        divided.map(|(target, _)| target).filter(|target| has(target)).cloned().collect()
    }

    /// The Services of a namespace whose members' weights depend on their Pods' annotations.
    fn weighs_pods_of(&self, namespace: &Arc<str>) -> BTreeSet<ObjectName> {
        self.targets(namespace, |policy| policy.load_balancing.pod_weights)
    }

    /// The Services of a namespace with a policy of which something holds.
    fn targets(
        &self,
        namespace: &Arc<str>,
        holds: impl Fn(&Policy) -> bool,
    ) -> BTreeSet<ObjectName> {
        let first = ObjectName { namespace: Arc::clone(namespace), name: Arc::default() };
        let services = self.policies.range(first..);
        services
            .take_while(|(service, _)| service.namespace == *namespace)
            .filter(|(_, policies)| policies.values().any(|policy| holds(policy)))
            .map(|(service, _)| service.clone())
            .collect()
    }
}
