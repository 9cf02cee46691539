use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Duration, RouteCallers, rule::rule};

/// In which steps callers reach the new version: either of the two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.canary) != has(self.blueGreen)")
    .message("a strategy is either canary or blueGreen; take one away, or add one"))]
pub struct Strategy {
    /// More and more of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
    /// All of them at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blue_green: Option<BlueGreen>,
}

/// More and more callers reach the new version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Canary {
    /// The steps, in order; after the last one everyone reaches the new version.
    #[schemars(length(min = 1, max = 32), extend("x-kubernetes-list-type" = "atomic"))]
    pub steps: Vec<Step>,
    /// How long after the last step Pods of the stable version still call the stable version of the
    /// others, for requests that are under way, and how long a bad analysis still rolls back. After a
    /// roll-back, how long Pods of the new version still call the new one.
    #[serde(default = "canary_hold")]
    #[schemars(extend("x-kubernetes-validations" = [at_most_a_week("hold")]))]
    pub hold: Duration,
}

/// Who reaches the new version in a step: one of `weight`, `percent` and `callers`. Whom `callers` of
/// an earlier step selects, does so in later ones too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = Rule::new("(has(self.weight) ? 1 : 0) + (has(self.percent) ? 1 : 0) + (has(self.callers) ? 1 : 0) == 1")
    .message("a step has one of weight, percent and callers; make several steps of it, or add one"))]
pub struct Step {
    /// So many percent of all connections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub weight: Option<i32>,
    /// So many percent of the callers, the same ones for every Service of the release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub percent: Option<i32>,
    /// Callers that one of these selects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub callers: Option<Vec<RouteCallers>>,
    /// What the step waits for before it ends; without it, for the analysis alone, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<Pause>,
}

/// What a step waits for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pause {
    /// That so much time has passed; without it, that somebody promotes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = [at_most_a_week("a pause")]))]
    pub duration: Option<Duration>,
}

/// All callers reach the new version at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BlueGreen {
    /// Callers that reach the new version before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub preview: Vec<RouteCallers>,
    /// What the switch waits for; without it, for the analysis alone, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<Pause>,
    /// How long after the switch the old version is kept: Pods of it still call the old version of
    /// the others, and a bad analysis or `etm release undo` switches back. After a roll-back, how long
    /// Pods of the new version still call the new one.
    #[serde(default = "blue_green_hold")]
    #[schemars(extend("x-kubernetes-validations" = [at_most_a_week("hold")]))]
    pub hold: Duration,
    /// Ends connections to the old version once the release is completed, which is when `hold` is over,
    /// on every node: those of callers that a released Service led to it, and no others.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub end_old_connections: bool,
}

fn at_most_a_week(what: &str) -> crate::rule::ValidationRule {
    rule("duration(self) <= duration('168h')", &format!("{what} is at most 168h"))
}

fn canary_hold() -> Duration {
    Duration::seconds(60)
}

fn blue_green_hold() -> Duration {
    Duration::seconds(600)
}
