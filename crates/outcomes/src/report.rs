use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// Which Pods are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Their addresses.
    pub addresses: Vec<IpAddr>,
}

/// What became of the connections from one node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// To each port of each Pod that was asked for and that the node knows.
    pub backends: Vec<BackendOutcomes>,
}

/// What became of the connections to one port of a Pod: the kernel's counters, which wrap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackendOutcomes {
    /// Address of the Pod.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
    /// `TCP` or `UDP`.
    pub protocol: String,
    /// Connections established.
    pub established: u32,
    /// Their handshakes' round-trip times, summed, in microseconds.
    pub rtt: u32,
    /// Refused.
    pub refused: u32,
    /// Without an answer.
    pub timed_out: u32,
    /// Of those established, reset before the Pod had sent a byte.
    pub reset: u32,
}
