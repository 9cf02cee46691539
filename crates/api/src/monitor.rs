//! What an operator's own monitoring says of Pods and nodes.

use std::time::Duration as Time;

use k8s_openapi::apimachinery::pkg::apis::meta::v1;
use kube::{KubeSchema, core::Duration};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

/// Characters of a duration, at most.
const DURATION: usize = 16;

/// A monitoring system whose word takes single Pods out of the Service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = Rule::new("has(self.prometheus) != has(self.alertmanager)")
    .message("a monitor has either prometheus or alertmanager; make two of it, or take one away"))]
pub struct PodMonitor {
    /// What the monitor is called, in the status and in messages.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// A query that is asked again and again. A series is of the Pod that its label `pod` names, in
    /// the policy's namespace if it has a label `namespace`; without `pod`, of the one that has the
    /// address in the label `pod_ip`, `ip` or `instance`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<PrometheusQuery>,
    /// Alerts that Alertmanager sends to the controller, of a Pod that their labels name as those of
    /// a series do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alertmanager: Option<AlertmanagerAlerts>,
}

/// A query whose result has one value for each Pod or node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PrometheusQuery {
    /// An instant query in PromQL that gives a vector.
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
    /// From one query to the next, 1s to 1h.
    #[serde(default = "interval", deserialize_with = "short")]
    #[schemars(extend("maxLength" = DURATION, "x-kubernetes-validations" = within("1s", "1h", "an interval")))]
    pub interval: Duration,
    /// How long an answer may take, 100ms to 1m; never longer than the interval.
    #[serde(default = "timeout", deserialize_with = "short")]
    #[schemars(extend("maxLength" = DURATION, "x-kubernetes-validations" = within("100ms", "1m", "a timeout")))]
    pub timeout: Duration,
    /// So many bad results one after another eject.
    #[serde(default = "consecutive")]
    #[schemars(range(min = 1, max = 100))]
    pub consecutive: i32,
    /// So many good results one after another end that; an answer without the series is one of them.
    #[serde(default = "recovery")]
    #[schemars(range(min = 1, max = 100))]
    pub recovery: i32,
    /// How long what was ejected stays so while Prometheus gives no usable answer, 0s to 1h.
    #[serde(default = "hold_time", deserialize_with = "short")]
    #[schemars(extend("maxLength" = DURATION, "x-kubernetes-validations" = within("0s", "1h", "a hold time")))]
    pub hold_time: Duration,
}

/// On which side of the threshold a value is bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Operator {
    /// One that is greater is bad.
    GreaterThan,
    /// One that is less is bad.
    LessThan,
}

/// Alerts that Alertmanager sends to the controller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlertmanagerAlerts {
    /// Labels that the alert has, all of them.
    #[schemars(
        length(min = 1, max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub matchers: Vec<Matcher>,
    /// How often Alertmanager repeats an alert that goes on: `repeat_interval` of its route, or
    /// `group_interval` where that is longer; 5s to 24h. What was ejected returns once twice that
    /// time has passed without a word, so that an end that gets lost ejects nothing for ever.
    #[serde(default = "repeat_interval", deserialize_with = "short")]
    #[schemars(extend("maxLength" = DURATION, "x-kubernetes-validations" = within("5s", "24h", "a repeat interval")))]
    pub repeat_interval: Duration,
}

/// A label that an alert has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Matcher {
    /// Name of the label.
    #[schemars(length(min = 1, max = 256), regex(pattern = "^[a-zA-Z_][a-zA-Z0-9_]*$"))]
    pub name: String,
    /// All of its value.
    #[schemars(length(max = 1024))]
    pub value: String,
}

/// A Pod that a monitor has taken out of the Service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct EjectedPod {
    /// Name of the Pod; absent where the endpoint is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// UID of the Pod: another one of the same name is not ejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// Address of an endpoint that is no Pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Name of the monitor.
    pub monitor: String,
    /// What the monitor said when it was ejected.
    pub message: String,
    /// When it was ejected.
    pub since: v1::Time,
}

/// Reads a duration, but not one so long that its number has no end.
fn short<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.len() > DURATION {
        return Err(D::Error::custom(format!(
            "longer than {DURATION} characters; write it as 30s"
        )));
    }
    text.parse().map_err(|error| D::Error::custom(format!("`{text}`: {error}; write it as 30s")))
}

/// The rule that a duration lies within two others.
fn within(least: &str, most: &str, what: &str) -> serde_json::Value {
    serde_json::json!([{
        "rule": format!("duration(self) >= duration('{least}') && duration(self) <= duration('{most}')"),
        "message": format!("{what} is {least} to {most}, written as 30s or 1m30s"),
    }])
}

fn interval() -> Duration {
    Time::from_secs(30).into()
}

fn timeout() -> Duration {
    Time::from_secs(10).into()
}

fn hold_time() -> Duration {
    Time::from_secs(300).into()
}

fn repeat_interval() -> Duration {
    Time::from_secs(300).into()
}

fn consecutive() -> i32 {
    2
}

fn recovery() -> i32 {
    3
}
