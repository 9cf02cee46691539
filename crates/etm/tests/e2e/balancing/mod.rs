//! How a Pod is chosen where a `TrafficPolicy` or `sessionAffinity` says so.

mod affinity;
mod affinity_life;
pub(crate) mod crowd;
mod ejection;
mod fields;
mod least_connections;
mod load_life;
mod members;
mod mistakes;
mod same_pod;
pub(crate) mod stage;
mod weights;
