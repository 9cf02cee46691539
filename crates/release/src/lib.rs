//! Canary and blue-green releases; pure.
//!
//! All that a release is lives in its status: [`next`] makes the status that follows from one, of
//! what is seen and what time it is, by at most one step. [`routes`] says what agents route by it, and
//! [`Judge`] what the connections to both versions and the answers of Prometheus tell.
#![forbid(unsafe_code)]

mod command;
mod condition;
mod judge;
mod machine;
mod pending;
mod routes;
mod routing;
mod seen;
mod selector;
mod stage;

pub use judge::{Judge, Tally, Verdict};
pub use machine::next;
pub use routes::{routes, version_selector};
pub use seen::{Presence, Routing, Seen, Versions};
pub use selector::selector;
pub use stage::{Stage, Wait, Who, check, stages};
