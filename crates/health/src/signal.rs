//! What happens to a backend.

use std::{sync::Arc, time::Duration};

use etm_model::Probe;
use serde::Serialize;
use thiserror::Error;

/// One thing that was seen of a backend.
///
/// The order is that in which those of one instant count, the worst last, so that it does not
/// matter in which order they are told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Signal {
    /// Its counters, as they are now.
    Outcomes(Outcomes),
    /// A caller fails with it alone: the kernel keeps the two apart, nobody else.
    Alone(Failures),
    /// A connection that was let through in probation succeeded.
    Passed,
    /// The kernel took it back.
    Returned,
    /// A connection that was let through in probation failed.
    Failed(FailureKind),
    /// It failed often enough to be ejected, but the kernel's budget is spent.
    Failing(Failures),
    /// The kernel ejected it.
    Ejected {
        /// What it failed with.
        failures: Failures,
        /// Until when, in the time of [`crate::Tracker`].
        until: Duration,
        /// How often by now, as the kernel counts.
        times: u32,
    },
    /// A probe's result.
    Probed(Arc<Probe>, Result<(), ProbeFailure>),
}

/// How connections ended, counted since the backend's record was made; `established + refused +
/// timed_out` is how many ended one way or the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Outcomes {
    /// Connections that were begun.
    pub attempts: u64,
    /// That were accepted.
    pub established: u64,
    /// That were refused.
    pub refused: u64,
    /// That were not answered.
    pub timed_out: u64,
    /// That were reset right after they had been accepted.
    pub reset: u64,
}

/// How a connection failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum FailureKind {
    /// Refused, or unreachable.
    Refused,
    /// Not answered.
    TimedOut,
    /// Reset right after it had been accepted.
    Reset,
}

/// Failures without a success in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Failures {
    /// How many in a row.
    pub in_row: u32,
    /// How many callers saw them.
    pub callers: u32,
    /// How the last one failed.
    pub last: FailureKind,
}

/// Why a node is not to be used: an entry of `NodeHealth`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct NodeFault {
    /// `reason`.
    pub reason: Arc<str>,
    /// `message`.
    pub message: Arc<str>,
}

/// Why a probe failed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Error, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ProbeFailure {
    /// Nobody listens.
    #[error("connection refused")]
    Refused,
    /// No answer in time.
    #[error("no answer within {} ms", .0.as_millis())]
    TimedOut(Duration),
    /// The connection was cut.
    #[error("connection reset")]
    Reset,
    /// An HTTP status that is neither 2xx nor 3xx.
    #[error("HTTP status {0}")]
    Status(u16),
    /// A gRPC health status other than `SERVING`.
    #[error("gRPC health status {0}")]
    NotServing(&'static str),
    /// A gRPC call that failed.
    #[error("gRPC: {0}")]
    Grpc(Box<str>),
    /// Anything else: no route, or an answer that is not of the protocol.
    #[error("{0}")]
    Other(Box<str>),
}
