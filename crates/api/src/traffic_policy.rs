use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};
use kube::{CustomResource, KubeSchema, Resource};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{EjectedPod, Health, PodMonitor, Refusal, StaleConnections};

/// How the callers of one Service are spread over its Pods, and which Pods are kept from them.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[kube(
    group = "etm.dev",
    version = "v1alpha1",
    kind = "TrafficPolicy",
    plural = "trafficpolicies",
    shortname = "tp",
    namespaced,
    doc = "How the callers of one Service are spread over its Pods, and which Pods are kept from them.",
    status = "TrafficPolicyStatus",
    derive = "PartialEq",
    printcolumn(name = "Service", type_ = "string", json_path = ".spec.targetRef.name"),
    printcolumn(name = "Algorithm", type_ = "string", json_path = ".spec.loadBalancing.algorithm"),
    printcolumn(
        name = "Accepted",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Accepted\")].status"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct TrafficPolicySpec {
    /// The Service that this is about.
    pub target_ref: TargetRef,
    /// How a Pod is chosen for a connection.
    #[serde(default)]
    pub load_balancing: LoadBalancing,
    /// When a Pod is ejected, which keeps new connections from it, and how it comes back. Without
    /// it the same defaults count, but for Services with `publishNotReadyAddresses`, of which no
    /// Pod is ejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    /// What callers see while no Pod is usable: an errno, or with `Anyway` all Pods once every one
    /// of them is ejected.
    #[serde(default)]
    pub refusal: Refusal,
    /// What becomes of sockets that still point at a Pod once that is gone or ejected.
    #[serde(default)]
    pub stale_connections: StaleConnections,
    /// Monitoring systems whose word takes single Pods out of the Service.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 8),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub monitors: Vec<PodMonitor>,
}

/// A Service of the policy's namespace, or one port of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TargetRef {
    /// Name of the Service.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// Name of a port of the Service; without one the policy is for every port. A policy that names
    /// a port counts for it before one that names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub port: Option<String>,
}

/// How a Pod is chosen for a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.consistentHash) || self.algorithm == 'ConsistentHash'")
    .message("consistentHash needs algorithm: ConsistentHash; set that, or take consistentHash \
              away"))]
pub struct LoadBalancing {
    /// `Random`: evenly, by weight. `LeastConnections`: of two Pods that are drawn evenly, the one
    /// with fewer connections from this node for its weight. `ConsistentHash`: the same Pod for the
    /// same caller, for as long as that Pod is usable.
    #[serde(default)]
    pub algorithm: Algorithm,
    /// What makes a caller the same; only with algorithm `ConsistentHash`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consistent_hash: Option<ConsistentHash>,
    /// How large each Pod's share is; all are alike where nothing says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<Weights>,
}

/// How a Pod is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Algorithm {
    /// Evenly, by weight.
    #[default]
    Random,
    /// Of two that are drawn evenly, the one with fewer connections for its weight.
    LeastConnections,
    /// The same for the same caller.
    ConsistentHash,
}

/// What makes a caller the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConsistentHash {
    /// Connections that are alike in all of these go to the same Pod.
    #[serde(default = "default_fields")]
    #[schemars(
        length(min = 1, max = 6),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub fields: Vec<Field>,
}

/// What a connection's hash can be made of.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum Field {
    /// The calling Pod, by namespace and name; for a process of the node, the node.
    CallerPod,
    /// The caller's address of the Service's family.
    CallerAddress,
    /// The namespace of the calling Pod.
    CallerNamespace,
    /// The port that the caller's socket is bound to.
    CallerPort,
    /// The port of the Service.
    ServicePort,
    /// TCP or UDP.
    Protocol,
}

/// Where the weights of Pods come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Weights {
    /// Services of the same namespace, and the weight of the Pods that each of them selects; of
    /// several with the same Pod the first counts. This does not make Pods members: they are those
    /// of the Service that the policy is for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub services: Vec<ServiceWeight>,
    /// Whether the annotation `etm.dev/weight` of the Pods counts, before the weight of a Service.
    #[serde(default)]
    pub pod_annotation: bool,
}

/// The weight of a Service's Pods.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct ServiceWeight {
    /// Name of the Service.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// The share of each of its Pods, relative to others.
    #[schemars(range(min = 1, max = 1000))]
    #[x_kube(validation = Rule::new("self >= 1")
        .message("a weight is 1 to 1000; to take a Pod out of service, make it not ready"))]
    pub weight: i32,
}

/// What became of the policy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrafficPolicyStatus {
    /// `Accepted`: whether the policy counts, and why not. `MonitorReachable`: whether the answers of
    /// its monitors can be used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub conditions: Vec<Condition>,
    /// The `metadata.generation` that this is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Pods that its monitors have taken out of the Service, once for each monitor.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub ejected: Vec<EjectedPod>,
}

/// A [`TrafficPolicy`] as somebody wrote it: nothing of its spec and its status is checked, so that
/// one that makes no sense can be told of, and keeps no other from being read.
#[derive(Resource, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[resource(inherit = TrafficPolicy)]
pub struct UncheckedTrafficPolicy {
    /// Its name, and since when it is there.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What is to become a [`TrafficPolicySpec`]; null where it is missing.
    #[serde(default)]
    pub spec: Value,
    /// What is to become a [`TrafficPolicyStatus`]; null where nobody has written one.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub status: Value,
}

fn default_fields() -> Vec<Field> {
    vec![Field::CallerPod]
}

impl Default for ConsistentHash {
    fn default() -> Self {
        Self { fields: default_fields() }
    }
}
