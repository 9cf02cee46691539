//! Who calls what: routes, as every kind that has them is reduced to.
//!
//! A caller takes the first rule that is for it, of the first route in the order of [`Route`]s that
//! has one; a caller that no rule is for goes as if there were no route. Routes do not chain: what a
//! rule leads to are Pods, and no route of theirs is asked once more.

use std::{collections::BTreeMap, sync::Arc};

use ipnet::IpNet;
use serde::Serialize;

use crate::{
    identity::hash,
    object::{ObjectName, Protocol, Timestamp},
};

/// Kinds that have routes, in the order of their precedence; that of the Gateway API's is its GEP-1294's.
/// UDP is apart: no two of its kinds meet at one port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum RouteKind {
    /// `TrafficRoute` (`etm.dev`).
    TrafficRoute,
    /// `Release` (`etm.dev`).
    Release,
    /// `GRPCRoute` (`gateway.networking.k8s.io`), as far as it asks for nothing of layer 7.
    GrpcRoute,
    /// `HTTPRoute`, likewise.
    HttpRoute,
    /// `TCPRoute`.
    TcpRoute,
    /// `UDPRoute`.
    UdpRoute,
}

impl RouteKind {
    /// As manifests have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TrafficRoute => "TrafficRoute",
            Self::Release => "Release",
            Self::TcpRoute => "TCPRoute",
            Self::UdpRoute => "UDPRoute",
            Self::GrpcRoute => "GRPCRoute",
            Self::HttpRoute => "HTTPRoute",
        }
    }

    /// Whether it is one of the Gateway API's, by whose specification a share that leads nowhere is
    /// refused.
    #[must_use]
    pub const fn is_gateway(self) -> bool {
        !matches!(self, Self::TrafficRoute | Self::Release)
    }
}

/// The object that a route comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct RouteOwner {
    /// Its kind.
    pub kind: RouteKind,
    /// Its name.
    pub name: ObjectName,
}

/// Labels of an object, by key.
pub type Labels = BTreeMap<Arc<str>, Arc<str>>;

/// One Service of which an object says who calls what. An object has one for each Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The object.
    pub owner: RouteOwner,
    /// `metadata.creationTimestamp`; an object without one counts as younger than any with one.
    pub created: Option<Timestamp>,
    /// The field that names the Service, for problems: `spec.targetRef`, `spec.parentRefs[0]`.
    pub field: Arc<str>,
    /// The Service whose callers are meant.
    pub target: ObjectName,
    /// Which of its ports.
    pub port: RoutePort,
    /// Only ports of this protocol; none is all of them.
    pub protocol: Option<Protocol>,
    /// Only callers of this namespace (a consumer route of the Gateway API). Such a route comes before
    /// others of the Gateway API.
    pub consumers: Option<Arc<str>>,
    /// The rules, in order.
    pub rules: Vec<Rule>,
    /// Pods that nobody is to be connected to any more: sockets that the target led there are ended,
    /// unless it still leads somebody there.
    pub abandons: Option<Destination>,
}

impl Route {
    /// The Services that its rules name as destinations, as often as they do.
    pub fn destinations(&self) -> impl Iterator<Item = &ObjectName> {
        let forwarded = self.rules.iter().flat_map(|rule| rule.action.destinations());
        forwarded.filter_map(|destination| match &destination.to {
            DestinationRef::Service { name, .. } => Some(name),
            DestinationRef::Subset(_) | DestinationRef::Invalid(_) => None,
        })
    }

    /// What all of its rules select callers by.
    pub(crate) fn selectors(&self) -> impl Iterator<Item = &CallerSelector> {
        self.rules.iter().flat_map(|rule| &rule.from)
    }
}

/// Ports of a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RoutePort {
    /// Every one.
    #[default]
    Every,
    /// By name.
    Name(Arc<str>),
    /// By number.
    Number(u16),
}

/// Where some callers go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name, for people; empty where it has none.
    pub name: Arc<str>,
    /// The field that holds it, for problems: `spec.rules[1]`.
    pub field: Arc<str>,
    /// For whom it is: whoever one of these selects; none of them is everyone, callers that are
    /// neither a known Pod nor the node among them.
    pub from: Vec<CallerSelector>,
    /// Only so large a share of them; none is all.
    pub share: Option<CallerShare>,
    /// What becomes of their calls.
    pub action: Action,
}

/// What becomes of calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// They are refused.
    Deny,
    /// They go to one of these, drawn by weight for each connection. Where all weights are 0, they
    /// are refused by a kind of the Gateway API, and one of another kind does not count.
    Forward(Vec<Destination>),
}

impl Action {
    /// Where calls may go; nowhere where they are denied.
    #[must_use]
    pub fn destinations(&self) -> &[Destination] {
        match self {
            Self::Deny => &[],
            Self::Forward(destinations) => destinations,
        }
    }
}

/// Selects callers that meet all that is said; a caller of which something is not known is not
/// selected by what asks for it. An empty one selects every caller that is a known Pod or the node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallerSelector {
    /// Pods in one of these namespaces.
    pub namespaces: Option<Vec<Arc<str>>>,
    /// Pods in namespaces with these labels.
    pub namespace_labels: Option<LabelSelector>,
    /// Pods with these labels.
    pub pod_labels: Option<LabelSelector>,
    /// Pods with one of these service accounts (of their own namespace).
    pub service_accounts: Option<Vec<Arc<str>>>,
    /// Pods that are endpoints of this Service, whether ready or not, or that it selects.
    pub members_of: Option<ObjectName>,
    /// Callers on one of these nodes: their Pods, and processes that are of no Pod.
    pub nodes: Option<Vec<Arc<str>>>,
    /// Processes of the node that are of no Pod, where one of its addresses is in one of these.
    pub blocks: Option<Vec<IpNet>>,
}

/// A share of callers, the same ones whenever and wherever it is asked for: a caller is in it if the
/// hash of `salt` and of its `namespace/name` (the node's name for processes of no Pod) falls on one
/// of the first `parts` of [`CallerShare::WHOLE`]. So a larger share of the same salt has all of a
/// smaller one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CallerShare {
    /// Parts of [`CallerShare::WHOLE`].
    pub parts: u32,
    /// What [`crate::hash`] makes of the salt's text: by default `namespace/name` of the object.
    pub salt: u64,
}

impl CallerShare {
    /// The parts of all callers: a part is a hundredth of a percent.
    pub const WHOLE: u32 = 10_000;

    /// Whether a caller of this `namespace/name` is in it.
    #[must_use]
    pub fn has(&self, caller: &str) -> bool {
        self.is_whole() || Self::part(self.salt, caller) < self.parts
    }

    /// Whether every caller is in it, also one whose name is not known.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.parts >= Self::WHOLE
    }

    /// The part of [`CallerShare::WHOLE`] that a caller of this `namespace/name` falls on, evenly
    /// spread and for each salt anew: the finalizer of SplitMix64 (Steele, Lea and Flood, "Fast
    /// Splittable Pseudorandom Number Generators", 2014) over the salt and the name's hash, scaled.
    #[must_use]
    pub fn part(salt: u64, caller: &str) -> u32 {
        let mixed = mix(salt.wrapping_add(mix(hash(caller))));
        ((u128::from(mixed) * u128::from(Self::WHOLE)) >> 64) as u32
    }
}

const fn mix(mut bits: u64) -> u64 {
    bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// One of those among which calls are divided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The field that names it, for problems: `spec.rules[0].to[1]`.
    pub field: Arc<str>,
    /// Its share among the others: 0 to 1,000,000.
    pub weight: u32,
    /// Where.
    pub to: DestinationRef,
}

/// Pods that calls may go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DestinationRef {
    /// Those of a Service (headless ones too), chosen as its own `TrafficPolicy` says, if it has one,
    /// else as that of the route's target.
    Service {
        /// The Service. In another namespace than the route, a `ReferenceGrant` must permit it.
        name: ObjectName,
        /// Its port, by number or name; [`RoutePort::Every`] is the one with the name of the port
        /// that was called, else the one with its number.
        port: RoutePort,
    },
    /// Those of the target Service with these labels.
    Subset(LabelSelector),
    /// Nothing, for this reason, which stands in a condition already: a reference to a kind that is
    /// not known. Its share is refused.
    Invalid(Arc<str>),
}

/// Requirements on labels, all of which must hold (`matchLabels` are requirements `In`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector {
    /// The requirements.
    pub requirements: Vec<Requirement>,
}

/// One requirement on a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// Its key.
    pub key: Arc<str>,
    /// What it asks for.
    pub operator: Operator,
}

/// `matchExpressions[].operator` with its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operator {
    /// The label is there, with one of these values.
    In(Vec<Arc<str>>),
    /// It is not there, or has none of these values.
    NotIn(Vec<Arc<str>>),
    /// It is there.
    Exists,
    /// It is not there.
    DoesNotExist,
}

impl LabelSelector {
    /// Whether labels meet all requirements.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        self.requirements.iter().all(|Requirement { key, operator }| {
            let value = labels.get(key);
            match operator {
                Operator::In(values) => value.is_some_and(|value| values.contains(value)),
                Operator::NotIn(values) => value.is_none_or(|value| !values.contains(value)),
                Operator::Exists => value.is_some(),
                Operator::DoesNotExist => value.is_none(),
            }
        })
    }
}

/// A `ReferenceGrant`: what of its namespace may be named from others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferenceGrant {
    /// Its name.
    pub name: ObjectName,
    /// From which kinds of routes in which namespaces.
    pub from: Vec<(RouteKind, Arc<str>)>,
    /// Which Services; none is every one of the namespace.
    pub services: Option<Vec<Arc<str>>>,
}

/// A caller on this node, as rules see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallerPod {
    /// Its name.
    pub name: Option<ObjectName>,
    /// Its labels.
    pub labels: Labels,
    /// `spec.serviceAccountName`.
    pub service_account: Arc<str>,
    /// Its addresses.
    pub addresses: Vec<std::net::IpAddr>,
}

/// The number of a caller on this node: small, its own for as long as it is there, and 0 for none.
/// Number [`CALLER_NODE_NUMBER`] is processes of the node that are of no Pod.
pub type CallerNumber = u16;

/// See [`CallerNumber`].
pub const CALLER_NODE_NUMBER: CallerNumber = 1;
