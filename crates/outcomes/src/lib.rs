//! What became of connections, from the agents of a cluster to its controller.
//!
//! Both sides have a certificate of one authority that signs for nothing else, and take nobody who has
//! none: neither can anyone read how busy a node is, nor make a release go on or roll back by false
//! figures. Nothing of this passes through the API server.
#![forbid(unsafe_code)]

mod client;
mod identity;
mod report;
mod server;

pub use client::{AskError, ask};
pub use identity::{Identity, IdentityError, NAME};
pub use report::{BackendOutcomes, Question, Report};
pub use server::{Asked, Listener, ListenerError};
