//! Where the cluster's state comes from: a directory of manifests, or the API server.
#![forbid(unsafe_code)]

mod asks;
mod cgroups;
pub mod convert;
pub mod derive;
mod directory;
mod index;
pub mod kubernetes;
mod manifest;
mod options;
mod update;

pub use cgroups::{CgroupChange, Cgroups};
pub use directory::{Manifests, OpenError, WatchError};
pub use options::Options;
pub use update::{Arrival, Update};
