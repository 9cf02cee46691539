//! The objects of the cluster, reduced to what a decision can depend on.

use std::{fmt, net::IpAddr, sync::Arc};

use ipnet::IpNet;
use serde::Serialize;

use crate::policy::Affinity;

/// Namespace and name of an object; written `namespace/name`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ObjectName {
    /// The namespace.
    pub namespace: Arc<str>,
    /// The name within the namespace.
    pub name: Arc<str>,
}

impl ObjectName {
    /// A name from its two parts.
    pub fn new(namespace: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Seconds since the Unix epoch, as `metadata.creationTimestamp` has them.
pub type Timestamp = i64;

/// Transport protocol of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Protocol {
    /// TCP, and MPTCP with it.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP: read, reported, and left to whatever else handles it, since `connect()` of an SCTP
    /// socket passes no BPF hook.
    Sctp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Sctp => "SCTP",
        })
    }
}

/// Address family of an EndpointSlice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Family {
    /// IPv4.
    #[serde(rename = "IPv4")]
    V4,
    /// IPv6.
    #[serde(rename = "IPv6")]
    V6,
}

impl Family {
    /// The family of an address.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

/// Where an address of a Service comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AddressKind {
    /// `spec.clusterIPs`.
    Cluster,
    /// `spec.externalIPs`.
    External,
    /// `status.loadBalancer.ingress[].ip` whose `ipMode` is `VIP` or absent.
    LoadBalancer,
}

/// One address of a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// The address; never an IPv4-mapped IPv6 address.
    pub ip: IpAddr,
    /// Where it comes from.
    pub kind: AddressKind,
}

/// One port of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePort {
    /// `name`, empty where the Service has one unnamed port. Joined to slices' ports by name.
    pub name: Arc<str>,
    /// `protocol`.
    pub protocol: Protocol,
    /// `port`, never 0.
    pub port: u16,
    /// `nodePort`, where the Service is of a type that has them and one is given.
    pub node_port: Option<u16>,
}

/// Which endpoints of a Service may be chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TrafficPolicy {
    /// Those anywhere, as far as their hints do not keep them for others.
    #[default]
    Cluster,
    /// Those on this node.
    Local,
}

/// A Service that this proxy handles. Headless and ExternalName Services, and those that name
/// another proxy, are not in a Snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: ObjectName,
    /// `metadata.creationTimestamp`; an object without one counts as younger than any with one.
    pub created: Option<Timestamp>,
    /// Its addresses, node addresses not included.
    pub addresses: Vec<Address>,
    /// Its ports.
    pub ports: Vec<ServicePort>,
    /// `internalTrafficPolicy`, which is that of its cluster addresses.
    pub internal_policy: TrafficPolicy,
    /// `externalTrafficPolicy`, which for callers inside of the cluster is that of its node ports.
    pub external_policy: TrafficPolicy,
    /// `healthCheckNodePort`, where the Service is of a type and policy that has one.
    pub health_check_port: Option<u16>,
    /// `loadBalancerSourceRanges`: who may call its load balancer addresses; none is everyone.
    pub source_ranges: Option<Arc<[IpNet]>>,
    /// `sessionAffinity: ClientIP`, with its timeout.
    pub affinity: Option<Affinity>,
    /// `publishNotReadyAddresses`: its endpoints are to be called whatever they are.
    pub publish_not_ready: bool,
    /// `selector`: labels of its Pods; none where its slices are not made by it.
    pub selector: Option<Selector>,
}

/// Labels that a Pod must all have, by key.
type Selector = Arc<[(Arc<str>, Arc<str>)]>;

/// One port of an EndpointSlice; ports without a number are not usable and not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlicePort {
    /// `name`, empty where absent.
    pub name: Arc<str>,
    /// `protocol`.
    pub protocol: Protocol,
    /// `port`, never 0.
    pub port: u16,
}

/// Where an endpoint is, and for whom it is meant. Endpoints that are alike in this share one.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Locality {
    /// `nodeName`, never empty.
    pub node: Option<Box<str>>,
    /// `zone`, never empty.
    pub zone: Option<Box<str>>,
    /// `hints.forNodes`; empty where there is no such hint.
    pub for_nodes: Box<[Box<str>]>,
    /// `hints.forZones`; empty where there is no such hint.
    pub for_zones: Box<[Box<str>]>,
}

/// One endpoint of an EndpointSlice, with the defaults of its conditions filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `addresses[0]`.
    pub address: IpAddr,
    /// `conditions.ready`; absent means true.
    pub ready: bool,
    /// `conditions.serving`; absent means true.
    pub serving: bool,
    /// `conditions.terminating`; absent means false.
    pub terminating: bool,
    /// `targetRef`, where it is a Pod.
    pub pod: Option<ObjectName>,
    /// What it says of nodes and zones, where it says anything.
    pub locality: Option<Arc<Locality>>,
}

impl Endpoint {
    /// Whether it is on a node; one that names none is on no node.
    #[must_use]
    pub fn is_on(&self, node: &Node) -> bool {
        let named = self.locality.as_ref().and_then(|locality| locality.node.as_deref());
        named.is_some_and(|name| *name == *node.name)
    }
}

/// An EndpointSlice of addressType IPv4 or IPv6 that names a Service by label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointSlice {
    /// Its name.
    pub name: ObjectName,
    /// Label `kubernetes.io/service-name`; the Service is in the slice's namespace.
    pub service: Arc<str>,
    /// `addressType`.
    pub family: Family,
    /// Its ports.
    pub ports: Vec<SlicePort>,
    /// Its endpoints.
    pub endpoints: Vec<Endpoint>,
}

/// The node that this agent runs on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: Arc<str>,
    /// Label `topology.kubernetes.io/zone`.
    pub zone: Option<Arc<str>>,
    /// Addresses on which node ports are served, loopback not included.
    pub addresses: Vec<IpAddr>,
    /// It is being deleted, or about to be, so that load balancers are to turn away (KEP-3836).
    pub deleting: bool,
}
