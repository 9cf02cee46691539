use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Duration,
    rule::{ValidationRule, rule, rule_at},
};

/// What each node asks of each Pod by itself: exactly one of `tcp`, `http` and `grpc`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [rule(
    "[has(self.tcp), has(self.http), has(self.grpc)].filter(x, x).size() == 1",
    "probe needs exactly one of tcp, http and grpc; keep one, or take probe away",
), rule_at(
    ".timeout",
    "duration(self.timeout) <= duration(self.interval)",
    "timeout is longer than interval; lower timeout, or raise interval",
)]))]
pub struct Probe {
    /// That a connection is accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp: Option<TcpProbe>,
    /// That a GET is answered with a status from 200 to 399.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpProbe>,
    /// That `grpc.health.v1.Health/Check` answers `SERVING`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grpc: Option<GrpcProbe>,
    /// From the start of one to the start of the next.
    #[schemars(extend("x-kubernetes-validations" = [rule(
        "duration(self) >= duration('1s') && duration(self) <= duration('24h')",
        "interval is 1s to 24h",
    )]))]
    pub interval: Duration,
    /// Without an answer for so long it has failed.
    #[schemars(extend("x-kubernetes-validations" = [rule(
        "duration(self) > duration('0s')",
        "timeout is more than 0s",
    )]))]
    pub timeout: Duration,
    /// So many failures in a row eject a Pod.
    #[schemars(range(min = 1, max = 100))]
    pub unhealthy_threshold: i32,
    /// So many successes in a row bring it back.
    #[schemars(range(min = 1, max = 100))]
    pub healthy_threshold: i32,
}

/// That a connection is accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TcpProbe {
    /// Number of the Pod's port, or name of a port of the Service; without it the port that callers
    /// are sent to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = [port_rule()]))]
    pub port: Option<IntOrString>,
}

/// That a GET is answered with a status from 200 to 399.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HttpProbe {
    /// What is asked for, with a `/` in front, and a query where there is one.
    #[serde(default = "root")]
    #[schemars(length(min = 1, max = 1024), regex(pattern = r"^/[!-~]*$"))]
    pub path: String,
    /// The header `Host`; without it the Pod's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[!-~]+$"))]
    pub host: Option<String>,
    /// Number of the Pod's port, or name of a port of the Service; without it the port that callers
    /// are sent to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = [port_rule()]))]
    pub port: Option<IntOrString>,
}

/// That `grpc.health.v1.Health/Check` answers `SERVING`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GrpcProbe {
    /// The service that is asked about; empty for the server as a whole.
    #[serde(default)]
    #[schemars(length(max = 253))]
    pub service: String,
    /// Number of the Pod's port, or name of a port of the Service; without it the port that callers
    /// are sent to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = [port_rule()]))]
    pub port: Option<IntOrString>,
}

fn port_rule() -> ValidationRule {
    rule(
        "type(self) == int ? self >= 1 && self <= 65535 : self.size() >= 1 && self.size() <= 63",
        "port is a number from 1 to 65535 or the name of a port of the Service; take it away to \
         use the port that callers are sent to",
    )
}

fn root() -> String {
    "/".to_owned()
}

impl Default for HttpProbe {
    fn default() -> Self {
        Self { path: root(), host: None, port: None }
    }
}

impl Default for Probe {
    fn default() -> Self {
        Self {
            tcp: None,
            http: None,
            grpc: None,
            interval: Duration::seconds(10),
            timeout: Duration::seconds(1),
            unhealthy_threshold: 3,
            healthy_threshold: 2,
        }
    }
}
