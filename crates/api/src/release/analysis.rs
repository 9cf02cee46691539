use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Duration, Operator, rule::rule};

/// What must hold before a step ends, and what rolls the release back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = Rule::new("has(self.connections) || size(self.queries) > 0")
    .message("an analysis has connections or queries; add one, or take analysis away"))]
pub struct Analysis {
    /// From one look to the next.
    #[serde(default = "interval")]
    #[schemars(extend("x-kubernetes-validations" = [rule(
        "duration(self) >= duration('200ms') && duration(self) <= duration('1h')",
        "an interval is 200ms to 1h",
    )]))]
    pub interval: Duration,
    /// What became of connections, as the kernels of all nodes count them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections: Option<ConnectionAnalysis>,
    /// What Prometheus says.
    #[serde(default)]
    #[schemars(
        length(max = 8),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub queries: Vec<QueryAnalysis>,
}

/// What may become of connections to the new version. Each limit is held against a bound on what the
/// share really is, not against what it was: one that is surely broken rolls back, and a step ends
/// once every one is surely kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.successShare) || has(self.refusedShare) || has(self.resetShare) || has(self.timedOutShare) || has(self.worseBy) || has(self.latencyFactor)")
    .message("there is no limit; say successShare, refusedShare, resetShare, timedOutShare, worseBy or latencyFactor"))]
pub struct ConnectionAnalysis {
    /// The least percent of connections that succeed: `"99.5"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8), regex(pattern = PERCENT))]
    pub success_share: Option<String>,
    /// The most percent that are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8), regex(pattern = PERCENT))]
    pub refused_share: Option<String>,
    /// The most percent that the Pod resets before it has sent a byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8), regex(pattern = PERCENT))]
    pub reset_share: Option<String>,
    /// The most percent that no answer comes to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8), regex(pattern = PERCENT))]
    pub timed_out_share: Option<String>,
    /// By how many percentage points more connections may fail than to the stable version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8), regex(pattern = PERCENT))]
    pub worse_by: Option<String>,
    /// How many times as long as with the stable version the handshake may take, in the mean, at least
    /// once: `"1.5"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8), regex(pattern = "^[1-9][0-9]{0,2}([.][0-9]{1,3})?$"))]
    pub latency_factor: Option<String>,
    /// Nothing is judged by fewer connections than these to the new version.
    #[serde(default = "minimum")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub minimum: i32,
    /// How sure a verdict is to be, in percent, over all looks of a step together.
    #[serde(default = "confidence")]
    #[schemars(range(min = 50, max = 99))]
    pub confidence: i32,
}

/// A query of Prometheus whose values are all to be on one side of a threshold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QueryAnalysis {
    /// What it is called, in the status.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// An instant query in PromQL that gives a vector; an empty one says nothing.
    #[schemars(length(min = 1, max = 4096))]
    pub query: String,
    /// On which side of the threshold a value is bad.
    pub operator: Operator,
    /// The number that values are compared with, as text: `"0.05"`.
    #[schemars(
        length(min = 1, max = 32),
        regex(pattern = r"^[+-]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]{1,2})?$")
    )]
    pub threshold: String,
    /// So many bad answers one after another roll back.
    #[serde(default = "consecutive")]
    #[schemars(range(min = 1, max = 100))]
    pub consecutive: i32,
    /// So many good answers one after another end a step.
    #[serde(default = "consecutive")]
    #[schemars(range(min = 1, max = 100))]
    pub passes: i32,
}

const PERCENT: &str = "^(100|[0-9]{1,2}([.][0-9]{1,3})?)$";

fn interval() -> Duration {
    Duration::seconds(10)
}

fn minimum() -> i32 {
    100
}

fn confidence() -> i32 {
    95
}

fn consecutive() -> i32 {
    1
}
