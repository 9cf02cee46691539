//! The state of the cluster, what the kernel's maps must hold for it, and the steps from what they
//! hold to what they must hold. Pure: no files, no system calls, no clocks.
//!
//! [`Snapshot`] -> [`Planner`] -> [`Plan`] -> [`Ledger`] -> [`Step`]s.
#![forbid(unsafe_code)]

mod address;
mod balance;
mod caller;
mod callers;
mod condition;
mod ejection;
pub mod hashing;
mod health;
mod identity;
mod kept;
mod ledger;
mod monitor;
mod object;
mod outcome;
mod plan;
mod planner;
mod pod;
mod policy;
mod problem;
mod refusal;
mod route;
mod route_condition;
mod route_table;
mod routing;
mod snapshot;
mod step;
pub mod testing;

pub use address::{from_abi, to_abi};
pub use balance::TableBalance;
pub use caller::Caller;
pub use callers::{CallerWrite, Callers};
pub use condition::{Accepted, AcceptedReason, conditions};
pub use ejection::{Ejected, EjectedEndpoint, EjectedNode, EjectedNodes};
pub use health::{
    FailureShare, HealthPolicy, Passive, Percent, Probation, Probe, ProbeKind, ProbePort,
};
pub use identity::{hash, identity};
pub use ipnet::IpNet;
pub use kept::Kept;
pub use ledger::{GRACE, Ledger, Reconciled, Report, Usage};
pub use monitor::{Alerts, Bad, Monitor, MonitorSource, Query};
pub use object::{
    Address, AddressKind, Endpoint, EndpointSlice, Family, Locality, Node, ObjectName, Protocol,
    Service, ServicePort, SlicePort, Timestamp, TrafficPolicy,
};
pub use outcome::{Called, Outcome, Outcomes, Share};
pub use plan::{
    BackendKey, Balancing, Delta, FrontendKey, HealthCheck, Listener, Member, Plan,
    PlannedFrontend, PlannedRoute, Pool, RouteClass, RoutePart, ServicePortName, is_member,
};
pub use planner::{Options, Planner, UnknownPort, compile, outcomes};
pub use pod::{Pod, PodChange, QosClass};
pub use policy::{Affinity, Algorithm, HashField, HashFields, LoadBalancing, Policy, Weight};
pub use problem::{Problem, with_causes};
pub use refusal::{Refusal, Stale, StaleConnections};
pub use route::{
    Action, CALLER_NODE_NUMBER, CallerNumber, CallerPod, CallerSelector, CallerShare, Destination,
    DestinationRef, LabelSelector, Labels, Operator, ReferenceGrant, Requirement, Route, RouteKind,
    RouteOwner, RoutePort, Rule,
};
pub use route_condition::{RouteCondition, RouteReason, RouteStatus, route_conditions};
pub use route_table::{RouteShares, RouteTable, led_to};
pub use snapshot::{Affected, Change, Snapshot};
pub use step::{Contents, Limits, Step};
