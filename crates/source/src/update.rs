use std::time::{Instant, SystemTime};

use etm_model::{Change, PodChange, Problem};

/// What the source has to say at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Update {
    /// What changed; to be taken in together, since an object may go and come within it.
    pub changes: Vec<Change>,
    /// What changed of this node's Pods, in order.
    pub pods: Vec<PodChange>,
    /// All that is wrong now, not only what is new, in a fixed order.
    pub problems: Vec<Problem>,
    /// For each event that went into `changes` after the state was complete, when it came.
    pub arrivals: Vec<Arrival>,
}

/// Where the latency of one change begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// When the event was read from the connection.
    pub received: Instant,
    /// When that happened which changed an EndpointSlice, by the clock of the control plane:
    /// annotation `endpoints.kubernetes.io/last-change-trigger-time`, once for each value.
    pub triggered: Option<SystemTime>,
}
