//! Where the cluster's state comes from: a directory of manifests.
#![forbid(unsafe_code)]

pub mod convert;
pub mod derive;
mod directory;
mod index;
mod manifest;

pub use directory::{Manifests, OpenError, Options, Update, WatchError};
