//! The real binary on the real kernel: each behaviour with Pods and callers in network namespaces
//! of their own, in a scratch cgroup, so that all of them run side by side and leave nothing.
#![allow(clippy::expect_used, reason = "a test fails by panicking, in its scene as well")]

mod addresses;
mod balancing;
mod callers;
mod connect;
mod detach;
mod endpoints;
mod explain;
mod faults;
mod files;
mod flows;
mod full_ring;
mod gateway;
mod get;
mod health_checks;
mod incomplete;
mod limits;
mod load;
mod mistakes;
mod node_ports;
mod old_colour;
mod passive;
mod privilege;
mod refusal;
mod refusal_policy;
mod refusal_reasons;
mod repair;
mod restart;
mod route_callers;
mod routing;
mod scene;
mod stale;
mod traffic_policy;
mod unconnected;
mod upgrade;
mod verifier;
