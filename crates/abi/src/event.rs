//! `COUNTERS` and `EVENTS`: how each decision ended.

use crate::{Address, FRONTEND_ELSEWHERE, Target, pod};

/// Indices into the per-CPU array `COUNTERS`, one for every way out of a program.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Counter {
    /// `connect()` sent to a Pod.
    ConnectForwarded = 0,
    /// `connect()` refused: the table has no members.
    ConnectNoEndpoints = 1,
    /// `connect()` refused: no member is usable.
    ConnectAllEjected = 2,
    /// `connect()` refused: a traffic policy `Local`, and endpoints on other nodes only.
    ConnectLocalPolicy = 3,
    /// `connect()` refused: the address is a Service's, the port is not.
    ConnectUnknownPort = 4,
    /// `connect()` refused: the caller's address is not among those that the frontend is for.
    ConnectSource = 5,
    /// Datagram of an unconnected socket sent to the Pod that the socket keeps.
    SendKept = 6,
    /// Datagram of an unconnected socket sent to a newly chosen Pod.
    SendForwarded = 7,
    /// Datagram refused: the table has no members.
    SendNoEndpoints = 8,
    /// Datagram refused: no member is usable.
    SendAllEjected = 9,
    /// Datagram refused: a traffic policy `Local`, and endpoints on other nodes only.
    SendLocalPolicy = 10,
    /// Datagram refused: the address is a Service's, the port is not.
    SendUnknownPort = 11,
    /// Datagram refused: the caller's address is not among those that the frontend is for.
    SendSource = 12,
    /// A call that depends on who calls came from neither a Pod that is known nor the node.
    CallerUnknown = 13,
    /// Received datagram shown as coming from the Service.
    ReceiveTranslated = 14,
    /// Peer shown as the Service.
    PeerTranslated = 15,
    /// A flow's record was taken over while its socket lives; it moved to `FLOWS_MOVED`.
    FlowMoved = 16,
    /// A flow could not be recorded; its socket shows the Pod as its peer.
    FlowLost = 17,
    /// An event found the ring buffer full.
    EventLost = 18,
    /// `connect()` refused: a rule of a route denies it.
    ConnectDenied = 19,
    /// Datagram refused: a rule of a route denies it.
    SendDenied = 20,
}

impl Counter {
    /// Number of counters.
    pub const COUNT: u32 = 21;

    /// Every counter, by index.
    pub const ALL: [Self; Self::COUNT as usize] = [
        Self::ConnectForwarded,
        Self::ConnectNoEndpoints,
        Self::ConnectAllEjected,
        Self::ConnectLocalPolicy,
        Self::ConnectUnknownPort,
        Self::ConnectSource,
        Self::SendKept,
        Self::SendForwarded,
        Self::SendNoEndpoints,
        Self::SendAllEjected,
        Self::SendLocalPolicy,
        Self::SendUnknownPort,
        Self::SendSource,
        Self::CallerUnknown,
        Self::ReceiveTranslated,
        Self::PeerTranslated,
        Self::FlowMoved,
        Self::FlowLost,
        Self::EventLost,
        Self::ConnectDenied,
        Self::SendDenied,
    ];

    /// What a refusal for want of a usable member counts as, by why the table has none: given
    /// [`Counter::ConnectNoEndpoints`] or [`Counter::SendNoEndpoints`]. Every other one stays.
    #[inline(always)]
    #[must_use]
    pub const fn because_of(self, target: Target) -> Self {
        let elsewhere = target.flags() & FRONTEND_ELSEWHERE != 0;
        match self {
            Self::ConnectNoEndpoints if target.members() > 0 => Self::ConnectAllEjected,
            Self::ConnectNoEndpoints if elsewhere => Self::ConnectLocalPolicy,
            Self::SendNoEndpoints if target.members() > 0 => Self::SendAllEjected,
            Self::SendNoEndpoints if elsewhere => Self::SendLocalPolicy,
            other => other,
        }
    }
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
