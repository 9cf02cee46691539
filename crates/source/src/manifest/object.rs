use std::sync::Arc;

use etm_model::{
    EjectedNodes, EndpointSlice, Labels, Node, ObjectName, Policy, Problem, ReferenceGrant, Route,
    RouteKind, RouteOwner, Timestamp,
};

use crate::convert::{self, Pod, PodSelection, ServiceObject, Unbegun};

/// The kinds of objects that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    Service,
    EndpointSlice,
    Pod,
    Node,
    TrafficPolicy,
    NodeHealth,
    Route(RouteKind),
    ReferenceGrant,
    Namespace,
}

impl Kind {
    /// As manifests have it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Service => "Service",
            Self::EndpointSlice => "EndpointSlice",
            Self::Pod => "Pod",
            Self::Node => "Node",
            Self::TrafficPolicy => "TrafficPolicy",
            Self::NodeHealth => "NodeHealth",
            Self::Route(kind) => kind.name(),
            Self::ReferenceGrant => "ReferenceGrant",
            Self::Namespace => "Namespace",
        }
    }
}

/// Which object it is, in a whole directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ObjectKey {
    pub(crate) kind: Kind,
    /// The namespace of what has none is empty.
    pub(crate) name: ObjectName,
}

/// An object, reduced to what is needed of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Object {
    Service(ServiceObject),
    /// A Service that has no address, and how its Pods are found.
    Headless(ObjectName, Arc<PodSelection>),
    EndpointSlice(EndpointSlice),
    Pod(Arc<Pod>),
    Node(Node),
    TrafficPolicy(Policy),
    NodeHealth(EjectedNodes),
    /// Any kind that has routes, with all of them.
    Routes(RouteOwner, Vec<Route>),
    /// A release that has no routes yet.
    Release(Box<Unbegun>),
    ReferenceGrant(ReferenceGrant),
    Namespace(Arc<str>, Labels),
}

/// An object as one place in a file declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Declared {
    /// Line in the file, counted from 1.
    pub(crate) line: u64,
    pub(crate) created: Option<Timestamp>,
    pub(crate) object: Arc<Object>,
    pub(crate) problems: Box<[Problem]>,
}

impl Object {
    pub(crate) fn key(&self) -> ObjectKey {
        let (kind, name) = match self {
            Self::Service(service) => (Kind::Service, service.service.name.clone()),
            Self::Headless(name, _) => (Kind::Service, name.clone()),
            Self::EndpointSlice(slice) => (Kind::EndpointSlice, slice.name.clone()),
            Self::Pod(pod) => (Kind::Pod, pod.name.clone()),
            Self::Node(node) => (Kind::Node, ObjectName::new("", Arc::clone(&node.name))),
            Self::TrafficPolicy(policy) => (Kind::TrafficPolicy, policy.name.clone()),
            Self::NodeHealth(_) => (Kind::NodeHealth, ObjectName::new("", convert::NODE_HEALTH)),
            Self::Routes(owner, _) => (Kind::Route(owner.kind), owner.name.clone()),
            Self::Release(release) => (Kind::Route(RouteKind::Release), release.name.clone()),
            Self::ReferenceGrant(grant) => (Kind::ReferenceGrant, grant.name.clone()),
            Self::Namespace(name, _) => (Kind::Namespace, ObjectName::new("", Arc::clone(name))),
        };
        ObjectKey { kind, name }
    }
}

impl std::fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.kind {
            kind @ (Kind::Node | Kind::NodeHealth | Kind::Namespace) => {
                write!(f, "{} {}", kind.name(), self.name.name)
            }
            kind => write!(f, "{} {}", kind.name(), self.name),
        }
    }
}
