//! The project's own Kubernetes kinds, in group `etm.dev`: their types, and the schemas with which
//! the API server refuses what makes no sense.
//!
//! The files in `deploy/` are written from these types by `cargo xtask schemas`; a test fails where
//! they differ.
#![forbid(unsafe_code)]

mod duration;
mod health;
#[allow(unreachable_pub, reason = "kube's derives repeat an item's `pub` out of reach")]
mod labels;
#[allow(
    unreachable_pub,
    clippy::duplicated_attributes,
    reason = "kube's derives repeat an item's `pub` out of reach, and take a column for another"
)]
mod monitor;
#[allow(
    unreachable_pub,
    clippy::duplicated_attributes,
    reason = "kube's derives repeat an item's `pub` out of reach, and take a column for another"
)]
mod node;
#[allow(
    unreachable_pub,
    clippy::duplicated_attributes,
    reason = "kube's derives repeat an item's `pub` out of reach, and take a column for another"
)]
mod node_report;
mod probe;
mod refusal;
#[allow(
    unreachable_pub,
    clippy::duplicated_attributes,
    reason = "kube's derives repeat an item's `pub` out of reach, and take a column for another"
)]
mod release;
#[allow(unreachable_pub, reason = "kube's derives repeat an item's `pub` out of reach")]
mod route_parts;
mod rule;
mod schema;
#[allow(
    unreachable_pub,
    clippy::duplicated_attributes,
    reason = "kube's derives repeat an item's `pub` out of reach, and take a column for another"
)]
mod traffic_policy;
#[allow(
    unreachable_pub,
    clippy::duplicated_attributes,
    reason = "kube's derives repeat an item's `pub` out of reach, and take a column for another"
)]
mod traffic_route;

pub use duration::Duration;
pub use health::{FailureShare, Health, Passive, Probation};
pub use labels::{LabelExpression, LabelOperator, LabelSelector};
pub use monitor::{AlertmanagerAlerts, EjectedPod, Matcher, Operator, PodMonitor, PrometheusQuery};
pub use node::{
    EjectedNode, NodeHealth, NodeHealthSpec, NodeHealthStatus, NodeMonitor, NodeMonitorSpec,
    NodeMonitorStatus, UncheckedNodeHealth, UncheckedNodeMonitor,
};
pub use node_report::{
    MAX_REPORTED, NodeReport, NodeReportSpec, ReportedEndpoint, UncheckedNodeReport,
};
pub use probe::{GrpcProbe, HttpProbe, Probe, TcpProbe};
pub use refusal::{Refusal, Stale, StaleConnections};
pub use release::{
    Analysis, BlueGreen, Canary, CommandVerb, ConnectionAnalysis, Pause, QueryAnalysis,
    RELEASE_COMMAND, Release, ReleaseCommand, ReleaseCommandResult, ReleaseEvent, ReleasePhase,
    ReleaseSpec, ReleaseStatus, ReleasedService, Step, Strategy, Traffic, UncheckedRelease,
    Version,
};
pub use route_parts::{RouteCallers, RouteDestination, RouteService};
pub use schema::definitions;
pub use traffic_policy::{
    Algorithm, ConsistentHash, Field, LoadBalancing, ServiceWeight, TargetRef, TrafficPolicy,
    TrafficPolicySpec, TrafficPolicyStatus, UncheckedTrafficPolicy, Weights,
};
pub use traffic_route::{
    RouteRule, RouteTarget, TrafficRoute, TrafficRouteSpec, TrafficRouteStatus,
    UncheckedTrafficRoute,
};

/// The group of all kinds.
pub const GROUP: &str = "etm.dev";

/// Annotation of a Pod: its weight, 1 to 1,000.
pub const POD_WEIGHT: &str = "etm.dev/weight";
