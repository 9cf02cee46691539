//! What a cluster needs to run etm, and how it gets there.
//!
//! The objects are those of `deploy/kustomize`, read when this is compiled: there is no second
//! list of them, and what a user asks for changes typed objects, not text.
#![forbid(unsafe_code)]

mod cluster;
mod error;
mod objects;
mod parameters;
mod request;

pub use cluster::{Cluster, Outcome};
pub use error::{ClusterError, ObjectsError};
pub use objects::{Controller, Objects};
pub use parameters::Parameters;
