//! The project's own kind `TrafficPolicy`, reduced to what a decision can depend on.

use std::sync::Arc;

use etm_abi as abi;
use serde::Serialize;

use crate::{
    ejection::Ejected,
    health::HealthPolicy,
    monitor::Monitor,
    object::{ObjectName, Timestamp},
    refusal::{Refusal, StaleConnections},
};

/// What a `TrafficPolicy` says of one Service of its namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Its name.
    pub name: ObjectName,
    /// `metadata.creationTimestamp`; an object without one counts as younger than any with one.
    pub created: Option<Timestamp>,
    /// `spec.targetRef.name`: a Service of the same namespace.
    pub service: Arc<str>,
    /// `spec.targetRef.port`: the port's name; none is every port.
    pub port: Option<Arc<str>>,
    /// `spec.loadBalancing`.
    pub load_balancing: LoadBalancing,
    /// `spec.health`; none where it says nothing of it.
    pub health: Option<Arc<HealthPolicy>>,
    /// `spec.refusal`.
    pub refusal: Refusal,
    /// `spec.staleConnections`.
    pub stale: StaleConnections,
    /// `spec.monitors`, for whoever asks them.
    pub monitors: Arc<[Monitor]>,
    /// `status.ejected`: what its monitors have taken out of the Service.
    pub ejected: Arc<[Ejected]>,
}

impl Policy {
    /// The Service that it is for.
    #[must_use]
    pub fn target(&self) -> ObjectName {
        ObjectName { namespace: Arc::clone(&self.name.namespace), name: Arc::clone(&self.service) }
    }
}

/// How a member is chosen, and how large each one's share is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadBalancing {
    /// How.
    pub algorithm: Algorithm,
    /// `weights.services`: Services of the same namespace, and the weight of the Pods that they
    /// select too; the first that has a Pod counts for it.
    pub service_weights: Vec<(Arc<str>, Weight)>,
    /// `weights.podAnnotation`: whether the annotation `etm.dev/weight` of the Pods counts.
    pub pod_weights: bool,
}

/// Relative share of a member: 1 to 1,000; 1 where nothing says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Weight(u16);

impl Weight {
    /// The largest.
    pub const MAX: u16 = 1_000;

    /// A weight; none where it is 0 or larger than [`Weight::MAX`].
    #[must_use]
    pub const fn new(weight: u16) -> Option<Self> {
        if weight == 0 || weight > Self::MAX { None } else { Some(Self(weight)) }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl Default for Weight {
    fn default() -> Self {
        Self(1)
    }
}

/// How a member is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Algorithm {
    /// At random, by weight.
    #[default]
    Random,
    /// The one with fewer connections of two that are drawn at random (Mitzenmacher, "The Power of
    /// Two Choices in Randomized Load Balancing", 1996).
    LeastConnections,
    /// By a hash of these fields.
    ConsistentHash(HashFields),
}

/// What a connection's hash is made of: `HASH_*` bits of the ABI, at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct HashFields(u8);

/// One field that a hash can be made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
#[repr(u8)]
pub enum HashField {
    /// The calling Pod, by namespace and name; for a process of the node, the node.
    CallerPod = abi::HASH_CALLER_POD,
    /// The caller's address of the Service's family.
    CallerAddress = abi::HASH_CALLER_ADDRESS,
    /// The namespace of the calling Pod.
    CallerNamespace = abi::HASH_CALLER_NAMESPACE,
    /// The port that the caller's socket is bound to.
    CallerPort = abi::HASH_CALLER_PORT,
    /// The port of the Service.
    ServicePort = abi::HASH_SERVICE_PORT,
    /// TCP or UDP.
    Protocol = abi::HASH_PROTOCOL,
}

impl HashField {
    /// Every field, in the order in which they are hashed.
    pub const ALL: [Self; 6] = [
        Self::CallerPod,
        Self::CallerAddress,
        Self::CallerNamespace,
        Self::CallerPort,
        Self::ServicePort,
        Self::Protocol,
    ];

    /// The fields of `HASH_*` bits, in the order in which they are hashed.
    pub fn of_bits(bits: u8) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |field| bits & *field as u8 != 0)
    }

    /// As manifests have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CallerPod => "callerPod",
            Self::CallerAddress => "callerAddress",
            Self::CallerNamespace => "callerNamespace",
            Self::CallerPort => "callerPort",
            Self::ServicePort => "servicePort",
            Self::Protocol => "protocol",
        }
    }
}

impl HashFields {
    /// A set of fields; none where it is empty.
    pub fn new(fields: impl IntoIterator<Item = HashField>) -> Option<Self> {
        let bits = fields.into_iter().fold(0, |bits, field| bits | field as u8);
        (bits != 0).then_some(Self(bits))
    }

    /// As the ABI has them.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The fields, in the order in which they are hashed.
    pub fn iter(self) -> impl Iterator<Item = HashField> {
        HashField::of_bits(self.0)
    }
}

impl Default for HashFields {
    /// The calling Pod, whatever ports it calls from and to.
    fn default() -> Self {
        Self(HashField::CallerPod as u8)
    }
}

/// `sessionAffinity: ClientIP`: a client stays with the member that it was given for as long as it
/// makes a connection at least every so many seconds, 1 to 86,400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Affinity(u32);

impl Affinity {
    /// The longest, in seconds: a day.
    pub const MAX: u32 = 86_400;

    /// An affinity of so many seconds; none where there are none or more than
    /// [`Affinity::MAX`].
    #[must_use]
    pub const fn new(seconds: u32) -> Option<Self> {
        if seconds == 0 || seconds > Self::MAX { None } else { Some(Self(seconds)) }
    }

    /// In seconds.
    #[must_use]
    pub const fn seconds(self) -> u32 {
        self.0
    }
}

impl Default for Affinity {
    /// Three hours, as the API server fills in.
    fn default() -> Self {
        Self(10_800)
    }
}
