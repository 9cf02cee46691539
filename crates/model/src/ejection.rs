//! What the controller takes out, for the whole cluster.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use crate::object::Timestamp;

/// Endpoints of a Service, out by the word of a monitor.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ejected {
    /// Which ones.
    pub endpoint: EjectedEndpoint,
    /// The monitor of the policy.
    pub monitor: Arc<str>,
    /// What it said.
    pub message: Arc<str>,
    /// Since when, where that is known.
    pub since: Option<Timestamp>,
}

/// What a monitor can take out of a Service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EjectedEndpoint {
    /// All addresses of a Pod of the policy's namespace.
    Pod(Arc<str>),
    /// An endpoint that is no Pod.
    Address(IpAddr),
}

/// Nodes whose Pods get no connections, by their names: `NodeHealth`.
pub type EjectedNodes = BTreeMap<Arc<str>, EjectedNode>;

/// Why a node is out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EjectedNode {
    /// `NotReady`, `Tainted`, `LeaseExpired` or `Monitor`; the first of several.
    pub reason: Arc<str>,
    /// The same in words.
    pub message: Arc<str>,
    /// Since when, where that is known.
    pub since: Option<Timestamp>,
}
