//! What one process per cluster does, however many of them run: it writes the status of etm's own
//! kinds, and of routes of the Gateway API, and tells Events.
//!
//! Which process that is, a Lease says ([`Election`]). Whoever writes asks [`Leadership`] before
//! each request, and each request names the version of the object that it is about: what comes too
//! late, from a process that was stopped for a while, is refused by the API server.
#![forbid(unsafe_code)]

mod agents;
mod cases;
mod election;
mod gateway_status;
mod gather;
mod lease;
mod monitored;
mod nodes;
mod policies;
mod problem;
mod release_write;
mod releases;
mod route_write;
mod routes;
mod write;

pub use agents::{Agents, AgentsAt};
pub use cases::{Cases, Endpoint, Subject, Telling, Told, What, read_told, tell};
pub use election::{Election, Leadership};
pub use gateway_status::CONTROLLER_NAME;
pub use gather::{Gathered, ReleaseAsk, Sources};
pub use monitored::{Monitored, Reachable, ejections};
pub use nodes::{Limits, NodeWrite, Nodes, write_nodes};
pub use policies::{Monitors, Policies};
pub use release_write::{ReleaseWrite, write_release};
pub use releases::Releases;
pub use route_write::write_route;
pub use routes::{RouteWrite, Routes};
pub use write::{Outcome, StatusWrite, write};

/// The field manager of all that is written, and the name of the Lease.
pub const NAME: &str = "etm-controller";
