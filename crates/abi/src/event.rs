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
    /// Datagram of an unconnected socket sent to the Pod that the socket keeps.
    SendKept = 3,
    /// Datagram of an unconnected socket sent to a newly chosen Pod.
    SendForwarded = 4,
    /// Datagram refused: no usable member.
    SendNoBackend = 5,
    /// Datagram refused: the address is a Service's, the port is not.
    SendUnknownPort = 6,
    /// Received datagram shown as coming from the Service.
    ReceiveTranslated = 7,
    /// Peer shown as the Service.
    PeerTranslated = 8,
    /// A flow's record was taken over while its socket lives; it moved to `FLOWS_MOVED`.
    FlowMoved = 9,
    /// A flow could not be recorded; its socket shows the Pod as its peer.
    FlowLost = 10,
    /// An event found the ring buffer full.
    EventLost = 11,
    /// `connect()` refused: the caller's address is not among those that the frontend is for.
    ConnectSource = 12,
    /// Datagram refused for the same reason.
    SendSource = 13,
    /// A call that depends on who calls came from neither a Pod that is known nor the node.
    CallerUnknown = 14,
}

impl Counter {
    /// Number of counters.
    pub const COUNT: u32 = 15;

    /// Every counter, by index.
    pub const ALL: [Self; Self::COUNT as usize] = [
        Self::ConnectForwarded,
        Self::ConnectNoBackend,
        Self::ConnectUnknownPort,
        Self::SendKept,
        Self::SendForwarded,
        Self::SendNoBackend,
        Self::SendUnknownPort,
        Self::ReceiveTranslated,
        Self::PeerTranslated,
        Self::FlowMoved,
        Self::FlowLost,
        Self::EventLost,
        Self::ConnectSource,
        Self::SendSource,
        Self::CallerUnknown,
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
