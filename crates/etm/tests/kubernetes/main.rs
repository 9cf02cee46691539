//! The real binary following a real API server, through every fault that it is to survive.
#![allow(clippy::expect_used, reason = "a test fails by panicking, in its scene as well")]

mod callers;
mod chart;
mod conditions;
mod container;
mod controller_rights;
mod dns;
mod events;
mod faults;
mod forward;
mod gateway;
mod gateway_later;
mod image;
mod install;
mod leader;
mod managers;
mod metrics;
mod monitors;
mod node_health;
mod objects;
mod outage;
mod policies;
mod policy_health;
mod proxy;
mod reach;
mod release_analysis;
mod releases;
mod relist;
mod rights;
mod route_conditions;
mod routes;
mod scene;
mod shipped;
mod token;
mod tools;
