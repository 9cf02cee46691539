//! Which nodes work, for the whole cluster.

use k8s_openapi::apimachinery::pkg::apis::meta::v1;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};
use kube::{CustomResource, KubeSchema, Resource};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{AlertmanagerAlerts, PrometheusQuery};

/// A monitoring system whose word takes nodes out of all Services.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[kube(
    group = "etm.dev",
    version = "v1alpha1",
    kind = "NodeMonitor",
    plural = "nodemonitors",
    doc = "A monitoring system whose word takes nodes out of all Services.",
    status = "NodeMonitorStatus",
    derive = "PartialEq",
    printcolumn(
        name = "Reachable",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"MonitorReachable\")].status"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(validation = Rule::new("has(self.prometheus) != has(self.alertmanager)")
    .message("a monitor has either prometheus or alertmanager; make two of it, or take one away"))]
pub struct NodeMonitorSpec {
    /// A query that is asked again and again. A series is of the node that its label `node` names;
    /// without that, of the one that has the address in the label `instance`, or that name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<PrometheusQuery>,
    /// Alerts that Alertmanager sends to the controller, of a node that their labels name as those
    /// of a series do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alertmanager: Option<AlertmanagerAlerts>,
}

/// What became of the monitor.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeMonitorStatus {
    /// `MonitorReachable`: whether its answers can be used, and why not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub conditions: Vec<Condition>,
    /// The `metadata.generation` that this is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// A [`NodeMonitor`] as somebody wrote it, unchecked.
#[derive(Resource, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[resource(inherit = NodeMonitor)]
pub struct UncheckedNodeMonitor {
    /// Its name.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What is to become a [`NodeMonitorSpec`].
    #[serde(default)]
    pub spec: Value,
    /// What is to become a [`NodeMonitorStatus`].
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub status: Value,
}

/// Which nodes do not work. There is one, named `cluster`, which `etm controller` makes and writes.
#[derive(
    CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize,
)]
#[kube(
    group = "etm.dev",
    version = "v1alpha1",
    kind = "NodeHealth",
    plural = "nodehealths",
    doc = "Which nodes do not work. There is one, named `cluster`, which `etm controller` makes and writes.",
    status = "NodeHealthStatus",
    derive = "PartialEq",
    derive = "Default",
    printcolumn(
        name = "Ejected",
        type_ = "string",
        json_path = ".status.ejected[*].node"
    ),
    printcolumn(
        name = "WithinLimit",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"WithinLimit\")].status"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.metadata.name == 'cluster'")
        .message("the one NodeHealth is named cluster; etm controller makes it"),
)]
pub struct NodeHealthSpec {}

/// Which nodes do not work.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NodeHealthStatus {
    /// `WithinLimit`: whether as few nodes are bad as may be ejected; if not, none is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub conditions: Vec<Condition>,
    /// Nodes whose Pods get no connections, once for each thing that is wrong with them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub ejected: Vec<EjectedNode>,
}

/// A node whose Pods get no connections.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct EjectedNode {
    /// Name of the node.
    pub node: String,
    /// What is wrong: `NotReady`, `Tainted`, `LeaseExpired` or `Monitor`.
    pub reason: String,
    /// For reason `Monitor`, the name of the `NodeMonitor`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitor: Option<String>,
    /// The same in words.
    pub message: String,
    /// Since when it is ejected for that.
    pub since: v1::Time,
}

/// A [`NodeHealth`] as somebody wrote it, unchecked.
#[derive(Resource, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[resource(inherit = NodeHealth)]
pub struct UncheckedNodeHealth {
    /// Its name.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What is to become a [`NodeHealthStatus`]; null where nobody has written one.
    #[serde(default)]
    pub status: Value,
}
