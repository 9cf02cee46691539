//! What the tracker promises, by behaviour.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod causes;
mod kernel;
mod limits;
mod members;
mod order;
mod passive;
mod share;
mod world;
