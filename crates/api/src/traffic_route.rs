use k8s_openapi::apimachinery::pkg::{
    apis::meta::v1::{Condition, ObjectMeta},
    util::intstr::IntOrString,
};
use kube::{CustomResource, KubeSchema, Resource};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

use crate::{RouteCallers, RouteDestination};

/// Which callers of one Service reach which Pods.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[kube(
    group = "etm.dev",
    version = "v1alpha1",
    kind = "TrafficRoute",
    plural = "trafficroutes",
    shortname = "tr",
    namespaced,
    doc = "Which callers of one Service reach which Pods.",
    status = "TrafficRouteStatus",
    derive = "PartialEq",
    printcolumn(name = "Service", type_ = "string", json_path = ".spec.targetRef.name"),
    printcolumn(
        name = "Accepted",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Accepted\")].status"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Accepted\")].reason"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct TrafficRouteSpec {
    /// The Service whose callers are meant.
    pub target_ref: RouteTarget,
    /// Where callers go. Each takes the first rule that is for it; one that no rule is for goes as if
    /// there were no route.
    #[schemars(length(min = 1, max = 64), extend("x-kubernetes-list-type" = "atomic"))]
    pub rules: Vec<RouteRule>,
}

/// A Service of the route's namespace, or one port of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct RouteTarget {
    /// Name of the Service.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// Name or number of a port of the Service; without one the route is for every port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new(
        "type(self) == int ? self >= 1 && self <= 65535 : size(self) >= 1 && size(self) <= 63")
        .message("a port is its name, or a number from 1 to 65535"))]
    pub port: Option<IntOrString>,
}

/// Where some callers go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(
    validation = Rule::new("(has(self.deny) && self.deny) != has(self.to)")
        .message("a rule has either deny: true or to; make two rules of it, or add the one that is \
                  meant"),
    validation = Rule::new("!has(self.to) || self.to.exists(destination, destination.weight > 0)")
        .message("the weights of to sum to 0, so it leads nowhere; raise one of them, or write deny: \
                  true"),
    validation = Rule::new("!has(self.salt) || has(self.percent)")
        .message("salt says which callers percent takes; add percent, or take salt away")
)]
pub struct RouteRule {
    /// What the rule is called, in the status and in messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub name: Option<String>,
    /// For whom it is: whoever one of these selects. Without it the rule is for everyone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub from: Option<Vec<RouteCallers>>,
    /// Only so many percent of these callers, up to hundredths; always the same ones, and a larger
    /// number takes in all that a smaller one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "percent")]
    pub percent: Option<Number>,
    /// Which callers `percent` takes: rules with the same salt take the same. By default it is
    /// `namespace/name` of the route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub salt: Option<String>,
    /// Whether their connections are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deny: Option<bool>,
    /// Where their connections go, drawn by weight for each of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub to: Option<Vec<RouteDestination>>,
}

/// A number from 0 to 100 with at most two digits behind the point.
fn percent(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "number", "minimum": 0.0, "maximum": 100.0, "multipleOf": 0.01, "nullable": true
    })
}

/// What became of the route.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrafficRouteStatus {
    /// `Accepted`: whether the route counts, and why not. `ResolvedRefs`: whether all that it leads to
    /// is there and may be named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub conditions: Vec<Condition>,
    /// The `metadata.generation` that this is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// A [`TrafficRoute`] as somebody wrote it: nothing of its spec and its status is checked, so that one
/// that makes no sense can be told of, and keeps no other from being read.
#[derive(Resource, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[resource(inherit = TrafficRoute)]
pub struct UncheckedTrafficRoute {
    /// Its name, and since when it is there.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What is to become a [`TrafficRouteSpec`]; null where it is missing.
    #[serde(default)]
    pub spec: Value,
    /// What is to become a [`TrafficRouteStatus`]; null where nobody has written one.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub status: Value,
}
