//! What the kernel's maps must hold.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::IpAddr,
    sync::Arc,
};

use ipnet::IpNet;
use serde::Serialize;

use crate::{
    ejection::Ejected,
    health::HealthPolicy,
    object::{ObjectName, Protocol},
    policy::{Affinity, Algorithm, Weight},
    problem::Problem,
    refusal::Stale,
    route::CallerNumber,
};

/// What a frontend listens for on its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Listener {
    /// One port of one protocol (TCP or UDP).
    Port(u16, Protocol),
    /// Every port and protocol that has no frontend of its own: refused.
    AnyPort,
}

/// Key of a frontend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct FrontendKey {
    /// The address; never an IPv4-mapped IPv6 address.
    pub ip: IpAddr,
    /// Port and protocol.
    pub listener: Listener,
}

/// One port of a Service; written `namespace/name:port/TCP`, or `namespace/name/TCP` where the
/// port has no name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ServicePortName {
    /// The Service.
    pub service: ObjectName,
    /// The port's name, empty where it has none.
    pub port: Arc<str>,
    /// The port's protocol.
    pub protocol: Protocol,
}

impl fmt::Display for ServicePortName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.service)?;
        if !self.port.is_empty() {
            write!(f, ":{}", self.port)?;
        }
        write!(f, "/{}", self.protocol)
    }
}

/// Key of a backend: however many Services a Pod is in, its address and port are one backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct BackendKey {
    /// The Pod's address; never an IPv4-mapped IPv6 address.
    pub ip: IpAddr,
    /// The Pod's port.
    pub port: u16,
    /// TCP or UDP.
    pub protocol: Protocol,
}

/// One member of a pool.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Member {
    /// Where to send.
    pub backend: BackendKey,
    /// The Pod, where it is known.
    pub pod: Option<ObjectName>,
    /// Its share among the others.
    pub weight: Weight,
}

/// The members that a frontend chooses from, ordered by backend, each backend once.
pub type Pool = Arc<[Member]>;

/// Whether a backend is a member of a pool.
#[must_use]
pub fn is_member(pool: &[Member], backend: &BackendKey) -> bool {
    pool.binary_search_by_key(backend, |member| member.backend).is_ok()
}

/// What a frontend must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedFrontend {
    /// The Service port that owns it.
    pub service: Arc<ServicePortName>,
    /// Its members; empty refuses. Frontends of one Service port and family that choose from the
    /// same ones share one pool.
    pub pool: Pool,
    /// Who may call it; none is everyone.
    pub sources: Option<Arc<[IpNet]>>,
    /// Only for sockets in the node's own network namespace.
    pub node_only: bool,
    /// What a refused caller sees, a positive errno.
    pub errno: u16,
    /// Once all members are ejected, calls go to all of them instead of being refused.
    pub anyway: bool,
    /// It has no members since its traffic policy is `Local` and all endpoints are on other nodes.
    pub elsewhere: bool,
    /// How a member is chosen; none is evenly at random.
    pub balancing: Option<Arc<Balancing>>,
    /// By what its members are judged; none where none of them is to be ejected. Frontends of one
    /// policy, and all those without any, share one.
    pub health: Option<Arc<HealthPolicy>>,
    /// Which members monitors have taken out.
    pub ejected: Arc<[Ejected]>,
    /// What becomes of sockets that still point at a member that is gone or ejected.
    pub stale: Stale,
    /// What callers get instead of `pool` and `balancing`; none where that is the same for all.
    pub route: Option<Arc<PlannedRoute>>,
    /// Backends to which sockets are ended that the frontend has led there; in order, and none that it
    /// leads to.
    pub abandoned: Option<Arc<[BackendKey]>>,
}

/// What a frontend's callers get, where that depends on who calls or is divided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedRoute {
    /// What there is to get, at most [`PlannedRoute::CLASSES`], all different. The first one is that
    /// of callers who are not in `callers`, whoever they are.
    pub classes: Vec<RouteClass>,
    /// Callers that get another one than the first: its index.
    pub callers: BTreeMap<CallerNumber, u8>,
}

impl PlannedRoute {
    /// Classes that a route may have.
    pub const CLASSES: usize = 256;
    /// Parts that a class may have.
    pub const PARTS: usize = 16;

    /// Whether some caller may be led to a backend.
    pub(crate) fn leads_to(&self, backend: &BackendKey) -> bool {
        self.classes.iter().any(|class| match class {
            RouteClass::Denied => false,
            RouteClass::Forward(parts) => parts.iter().any(|part| is_member(&part.pool, backend)),
        })
    }
}

/// What some callers get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteClass {
    /// They are refused since a rule says so.
    Denied,
    /// For each connection one of these is drawn by weight; none of them refuses. At most
    /// [`PlannedRoute::PARTS`], none with weight 0.
    Forward(Vec<RoutePart>),
}

/// One of those that are drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutePart {
    /// Its share among the others: 1 to 1,000,000.
    pub weight: u32,
    /// Its members; empty refuses.
    pub pool: Pool,
    /// How one of them is chosen; none is evenly at random.
    pub balancing: Option<Arc<Balancing>>,
    /// As [`PlannedFrontend::anyway`].
    pub anyway: bool,
    /// As [`PlannedFrontend::elsewhere`].
    pub elsewhere: bool,
}

/// How a frontend chooses where it is not evenly at random.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Balancing {
    /// How a member is chosen, by weight.
    pub algorithm: Algorithm,
    /// Keeps the Services' hashes apart: made of the Service's namespace and name.
    pub salt: u64,
    /// Whether a client stays with a member once it was chosen, and how long.
    pub affinity: Option<Affinity>,
}

/// What a Service's `healthCheckNodePort` tells load balancers of this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// The Service.
    pub service: ObjectName,
    /// Its ready endpoints on this node, each Pod once.
    pub local_endpoints: usize,
}

/// What the kernel's maps must hold: a function of the Snapshot and the options alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Every frontend.
    pub frontends: BTreeMap<FrontendKey, PlannedFrontend>,
    /// Frontends of Services that could not be planned: left in the maps as they are, or absent.
    pub held: BTreeSet<FrontendKey>,
    /// What is to be answered on each `healthCheckNodePort`. Shared, so that whoever answers sees
    /// by the pointer that nothing changed.
    pub health_checks: Arc<BTreeMap<u16, HealthCheck>>,
    /// What could not be honoured, in a fixed order.
    pub problems: Vec<Problem>,
}

impl Plan {
    /// Takes in what a change made of the frontends; problems and health checks are the
    /// [`crate::Planner`]'s to say.
    pub fn apply(&mut self, delta: &Delta) {
        for (key, frontend) in &delta.set {
            self.held.remove(key);
            self.frontends.insert(*key, frontend.clone());
        }
        for key in &delta.remove {
            self.held.remove(key);
            self.frontends.remove(key);
        }
        for key in &delta.hold {
            self.frontends.remove(key);
            self.held.insert(*key);
        }
    }
}

/// What a change made of a [`Plan`]'s frontends: applied to those before, it gives those after.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    /// Frontends that are new or different.
    pub set: BTreeMap<FrontendKey, PlannedFrontend>,
    /// Frontends that are gone.
    pub remove: BTreeSet<FrontendKey>,
    /// Frontends that from now on are left as they are.
    pub hold: BTreeSet<FrontendKey>,
}

impl Delta {
    /// Whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.remove.is_empty() && self.hold.is_empty()
    }
}
