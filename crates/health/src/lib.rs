//! One verdict per backend, made of every signal there is: the API's, the node's, monitors', probes'
//! and what the kernel saw of connections.
//!
//! [`Tracker`] is pure: no I/O and no clock. [`Prober`] asks backends by itself and tells what they
//! answer.
#![forbid(unsafe_code)]

mod backend;
mod change;
mod endpoints;
mod passive;
pub mod probe;
mod reason;
mod service;
mod signal;
mod streak;
mod tracker;
mod trouble;
mod verdict;
mod window;

pub use change::{Budget, Changes, Record};
pub use endpoints::endpoints;
pub use probe::{LIMIT, Probed, Prober, Target};
pub use reason::{Reason, Why};
pub use service::{EndpointHealth, MonitorEjection, Readiness, ServiceHealth, Suspect};
pub use signal::{FailureKind, Failures, NodeFault, Outcomes, ProbeFailure, Signal};
pub use tracker::Tracker;
pub use verdict::{Held, Spared, State, Verdict};
