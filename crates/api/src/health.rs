use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Duration,
    probe::Probe,
    rule::{rule, rule_at},
};

/// When a Pod is ejected, which keeps new connections from it, and how it comes back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [rule_at(
    ".maxEjectionTime",
    "duration(self.ejectionTime) <= duration(self.maxEjectionTime)",
    "maxEjectionTime is shorter than ejectionTime; raise maxEjectionTime, or lower ejectionTime",
)]))]
pub struct Health {
    /// What the connections of each node tell of a Pod.
    pub passive: Passive,
    /// How long a Pod is ejected the first time; so many times longer as it has been ejected
    /// lately.
    #[schemars(extend("x-kubernetes-validations" = [rule(
        "duration(self) >= duration('1s')",
        "a Pod is ejected for at least 1s; to eject none by its connections, set passive.enabled: \
         false",
    )]))]
    pub ejection_time: Duration,
    /// The longest that a Pod is ejected for at once, however often it was.
    #[schemars(extend("x-kubernetes-validations" = [rule(
        "duration(self) <= duration('24h')",
        "a Pod is ejected for at most 24h at once; to take one out of service, make it not ready",
    )]))]
    pub max_ejection_time: Duration,
    /// The largest share of the Service's Pods that may be ejected at once. Below 100 the last
    /// usable one never is; 0 ejects none.
    #[schemars(range(min = 0, max = 100))]
    pub max_ejected_percent: i32,
    /// How a Pod comes back once its ejection time is over.
    pub probation: Probation,
    /// What each node asks of each Pod by itself; without it, nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probe: Option<Probe>,
}

/// What the connections of each node tell of a Pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct Passive {
    /// Whether failures of connections eject a Pod.
    pub enabled: bool,
    /// So many failures in a row eject a Pod.
    #[schemars(range(min = 1, max = 100))]
    #[schemars(extend("x-kubernetes-validations" = [rule(
        "self >= 1",
        "a Pod is ejected after 1 to 100 failures; to eject none by its connections, set enabled: \
         false",
    )]))]
    pub consecutive_failures: i32,
    /// So large a share of failures among the latest connections ejects a Pod.
    pub failure_share: FailureShare,
    /// A connection counts as failed once its SYN was repeated so often, so that a Pod that drops
    /// packets is known long before the first timeout.
    #[schemars(range(min = 1, max = 6))]
    pub syn_retransmits: i32,
    /// Whether a UDP flow without any reply counts as failed.
    pub replies_expected: bool,
    /// After how long it does, where replies are expected. Less than the callers themselves wait: a
    /// flow that is given up sooner tells nothing.
    #[schemars(extend("x-kubernetes-validations" = [rule(
        "duration(self) > duration('0s') && duration(self) <= duration('1h')",
        "replyTimeout is more than 0s and at most 1h",
    )]))]
    pub reply_timeout: Duration,
}

/// So large a share of failures among the latest connections ejects a Pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct FailureShare {
    /// The share of the connections that failed.
    #[schemars(range(min = 1, max = 100))]
    #[schemars(extend("x-kubernetes-validations" = [rule(
        "self >= 1",
        "percent is 1 to 100; to eject no Pod before all of its connections fail, set 100",
    )]))]
    pub percent: i32,
    /// Over which time they are counted.
    #[schemars(extend("x-kubernetes-validations" = [rule(
        "duration(self) >= duration('1s') && duration(self) <= duration('1h')",
        "window is 1s to 1h",
    )]))]
    pub window: Duration,
    /// Fewer connections than these tell nothing.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub minimum_connections: i32,
}

/// How a Pod comes back once its ejection time is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct Probation {
    /// Each node sends it one new connection in this time.
    #[schemars(extend("x-kubernetes-validations" = [rule(
        "duration(self) > duration('0s') && duration(self) <= duration('24h')",
        "interval is more than 0s and at most 24h",
    )]))]
    pub interval: Duration,
    /// So many in a row that succeed bring it back; one that fails ejects it for longer.
    #[schemars(range(min = 1, max = 100))]
    pub successes: i32,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            passive: Passive::default(),
            ejection_time: Duration::seconds(30),
            max_ejection_time: Duration::seconds(300),
            max_ejected_percent: 50,
            probation: Probation::default(),
            probe: None,
        }
    }
}

impl Default for Passive {
    fn default() -> Self {
        Self {
            enabled: true,
            consecutive_failures: 5,
            failure_share: FailureShare::default(),
            syn_retransmits: 1,
            replies_expected: false,
            reply_timeout: Duration::seconds(2),
        }
    }
}

impl Default for FailureShare {
    fn default() -> Self {
        Self { percent: 50, window: Duration::seconds(30), minimum_connections: 20 }
    }
}

impl Default for Probation {
    fn default() -> Self {
        Self { interval: Duration::seconds(1), successes: 3 }
    }
}
