//! `COUNTERS` and `EVENTS`: how each decision ended.

use crate::{Address, pod};

/// Indices into the per-CPU array `COUNTERS`, one for every way out of a program.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Counter {
    /// `connect()` sent to a Pod.
    ConnectForwarded = 0,
    /// `connect()` refused: no usable member.
    ConnectNoBackend = 1,
    /// `connect()` refused: the address is a Service's, the port is not.
    ConnectUnknownPort = 2,
    /// `connect()` refused: the caller's address is not among those that the frontend is for.
    ConnectSource = 3,
    /// Datagram of an unconnected socket sent to the Pod that the socket keeps.
    SendKept = 4,
    /// Datagram of an unconnected socket sent to a newly chosen Pod.
    SendForwarded = 5,
    /// Datagram refused: no usable member.
    SendNoBackend = 6,
    /// Datagram refused: the address is a Service's, the port is not.
    SendUnknownPort = 7,
    /// Datagram refused: the caller's address is not among those that the frontend is for.
    SendSource = 8,
    /// A call that depends on who calls came from neither a Pod that is known nor the node.
    CallerUnknown = 9,
    /// Received datagram shown as coming from the Service.
    ReceiveTranslated = 10,
    /// Peer shown as the Service.
    PeerTranslated = 11,
    /// A flow's record was taken over while its socket lives; it moved to `FLOWS_MOVED`.
    FlowMoved = 12,
    /// A flow could not be recorded; its socket shows the Pod as its peer.
    FlowLost = 13,
    /// An event found the ring buffer full.
    EventLost = 14,
}

impl Counter {
    /// Number of counters.
    pub const COUNT: u32 = 15;

    /// Every counter, by index.
    pub const ALL: [Self; Self::COUNT as usize] = [
        Self::ConnectForwarded,
        Self::ConnectNoBackend,
        Self::ConnectUnknownPort,
        Self::ConnectSource,
        Self::SendKept,
        Self::SendForwarded,
        Self::SendNoBackend,
        Self::SendUnknownPort,
        Self::SendSource,
        Self::CallerUnknown,
        Self::ReceiveTranslated,
        Self::PeerTranslated,
        Self::FlowMoved,
        Self::FlowLost,
        Self::EventLost,
    ];
}

/// Record of the ring buffer `EVENTS`: one refused call, sampled.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Nanoseconds of `CLOCK_MONOTONIC`.
    pub time: u64,
    /// cgroup v2 id of the caller.
    pub cgroup: u64,
    /// The Service's address; IPv4 in its mapped form.
    pub address: Address,
    /// A [`Counter`] that is a refusal.
    pub counter: u32,
    /// Process id (thread group) of the caller.
    pub pid: u32,
    /// Key into `SERVICE_NAMES`.
    pub service: u32,
    /// The Service's port, network byte order.
    pub port: u16,
    /// IP protocol number.
    pub protocol: u8,
    /// Zero.
    pub pad: u8,
}
pod!(Event, 48, 8);
