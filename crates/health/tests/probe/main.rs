//! Probes of real servers on loopback.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod grpc;
mod http;
mod prober;
mod schedule;
mod servers;
mod tcp;
