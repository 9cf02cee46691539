//! A release of one or several Services: which callers reach the new version, step by step.

mod analysis;
mod status;
mod strategy;

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{CustomResource, KubeSchema, Resource};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Duration;

pub use analysis::{Analysis, ConnectionAnalysis, QueryAnalysis};
pub use status::{
    CommandVerb, ReleaseCommand, ReleaseCommandResult, ReleaseEvent, ReleasePhase, ReleaseStatus,
    Traffic,
};
pub use strategy::{BlueGreen, Canary, Pause, Step, Strategy};

/// Annotation of a Release: a [`ReleaseCommand`] as JSON, which is acted upon once.
pub const RELEASE_COMMAND: &str = "etm.dev/command";

/// A new version of one or several Services, which callers reach step by step.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[kube(
    group = "etm.dev",
    version = "v1alpha1",
    kind = "Release",
    plural = "releases",
    shortname = "rel",
    namespaced,
    doc = "A new version of one or several Services, which callers reach step by step.",
    status = "ReleaseStatus",
    derive = "PartialEq",
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Step", type_ = "integer", json_path = ".status.step"),
    printcolumn(name = "Of", type_ = "integer", json_path = ".status.steps"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.message"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("!has(oldSelf.status) || !has(oldSelf.status.phase) || oldSelf.status.phase == 'Pending' || self.spec == oldSelf.spec")
        .message("a release that has begun is not edited; abort it (etm release abort) and make another one, or delete it"),
)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseSpec {
    /// The Services that get a new version, together: a request that has reached a Pod of one
    /// version goes on to the same version of the others.
    #[schemars(
        length(min = 1, max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["service"])
    )]
    pub services: Vec<ReleasedService>,
    /// In which steps.
    pub strategy: Strategy,
    /// What must hold before a step ends, and what rolls the release back; without it only time and
    /// people decide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analysis: Option<Analysis>,
    /// How long a step may take beyond its pause, and how long the new version may be in coming,
    /// before the release is rolled back. While it waits to be promoted, no time passes.
    #[serde(default = "progress_deadline")]
    #[schemars(extend("x-kubernetes-validations" = [crate::rule::rule(
        "duration(self) >= duration('1s') && duration(self) <= duration('168h')",
        "progressDeadline is 1s to 168h",
    )]))]
    pub progress_deadline: Duration,
}

/// A Service and its two versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = Rule::new("has(self.stable.service) && has(self.new.service) ? self.stable.service != self.new.service : !has(self.stable.labels) || !has(self.new.labels) || self.stable.labels != self.new.labels")
    .message("stable and new are the same Pods; name the Service or the labels of the new version"))]
pub struct ReleasedService {
    /// The Service that callers call, of the release's namespace.
    #[schemars(length(min = 1, max = 63))]
    pub service: String,
    /// The version that callers have reached so far.
    pub stable: Version,
    /// The one that they are to reach.
    pub new: Version,
}

/// Pods that are one version of a Service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = Rule::new("has(self.service) != has(self.labels)")
    .message("a version is either a service or labels of Pods; take one away, or add one"))]
pub struct Version {
    /// Those of this Service, which may be headless and may be the one that is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub service: Option<String>,
    /// Those of the called Service that have all of these labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16))]
    pub labels: Option<BTreeMap<String, String>>,
}

/// A [`Release`] as somebody wrote it, unchecked.
#[derive(Resource, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[resource(inherit = Release)]
pub struct UncheckedRelease {
    /// Its name.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What is to become a [`ReleaseSpec`].
    #[serde(default)]
    pub spec: Value,
    /// What is to become a [`ReleaseStatus`]; null where nobody has written one.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub status: Value,
}

fn progress_deadline() -> Duration {
    Duration::seconds(600)
}
