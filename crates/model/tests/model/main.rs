//! What the Planner and the Ledger promise, by behaviour.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod adoption;
mod balancing;
mod callers;
mod cluster;
mod completeness;
mod conflicts;
mod hashing;
mod hashing_look_up;
mod incomplete;
mod kernel;
mod load_balancers;
mod order;
mod policies;
mod pools;
mod release;
mod room;
mod routes;
mod routing;
mod services;
mod traffic;
mod upkeep;
