//! What one node's kernel has taken out of service, for the whole cluster to see.

use k8s_openapi::apimachinery::pkg::apis::meta::v1;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{CustomResource, KubeSchema, Resource};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Endpoints that one report lists, at most.
pub const MAX_REPORTED: usize = 64;

/// What a node gives no connections to, by what it found itself. There is one for each node, of its
/// name, which its agent writes; it goes with the Node.
#[derive(
    CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize,
)]
#[kube(
    group = "etm.dev",
    version = "v1alpha1",
    kind = "NodeReport",
    plural = "nodereports",
    doc = "What a node gives no connections to, by what it found itself. There is one for each node, of its name, which its agent writes.",
    derive = "PartialEq",
    derive = "Default",
    printcolumn(name = "Pods", type_ = "string", json_path = ".spec.ejected[*].pod"),
    printcolumn(name = "More", type_ = "integer", json_path = ".spec.more", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct NodeReportSpec {
    /// Endpoints that the node's connections fail with, or its probes; those that have been out for
    /// longest first. Nodes and monitors are not in it: `etm controller` knows of those before agents
    /// do.
    // Written also where it is empty: server-side apply would leave nothing of a spec without fields.
    #[serde(default)]
    #[schemars(length(max = MAX_REPORTED), extend("x-kubernetes-list-type" = "atomic"))]
    pub ejected: Vec<ReportedEndpoint>,
    /// So many more are out than are listed.
    #[serde(default, skip_serializing_if = "is_zero")]
    // A format that API servers know; they warn of others.
    #[schemars(extend("format" = "int64"))]
    pub more: u32,
}

/// An endpoint that a node gives no connections to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReportedEndpoint {
    /// Namespace of its Services.
    pub namespace: String,
    /// Name of its Pod, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// Its address.
    pub address: String,
    /// Its port.
    #[schemars(extend("format" = "int32"))]
    pub port: u16,
    /// `TCP` or `UDP`.
    pub protocol: String,
    /// The Services that it belongs to.
    #[serde(default)]
    pub services: Vec<String>,
    /// `Ejected`: it gets no connections. `Probation`: one now and then, to see whether it works.
    pub state: String,
    /// What is wrong: `ConnectionsFail`, `ProbesFail`, or `Unknown` where that was found out before
    /// the agent started.
    pub reason: String,
    /// The same in words.
    pub message: String,
    /// Since when.
    pub since: v1::Time,
    /// When it is tried again, where time brings it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<v1::Time>,
}

/// A [`NodeReport`] as somebody wrote it, unchecked.
#[derive(Resource, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[resource(inherit = NodeReport)]
pub struct UncheckedNodeReport {
    /// Its name.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What is to become a [`NodeReportSpec`].
    #[serde(default)]
    pub spec: Value,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes the field by reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}
