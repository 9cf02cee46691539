//! `FLOWS`, `FLOWS_MOVED`, `UDP_FLOWS` and `UDP_REVERSE`: what a socket was told.

use crate::{Address, pod};

/// Records of `FLOWS`; the low bits of a socket cookie choose one. A power of two.
pub const FLOW_SLOTS: u32 = 65_536;

/// [`Flow::cookie`] while a record is being written.
pub const FLOW_BUSY: u64 = i64::MAX as u64;
/// Bit of [`Flow::cookie`] that says that the socket is closed and its record free; 0 is free too.
/// The sign bit, so that one comparison tells a free place.
pub const FLOW_CLOSED: u64 = 1 << 63;

/// [`Flow::phase`] of a socket that was given a Pod and has not sent it a SYN: of UDP, and where each
/// first SYN is looked at.
pub const FLOW_ASKED: u32 = 1;
/// [`Flow::phase`] of a socket that has sent its Pod a SYN, or is about to: its `close()` tells a
/// socket that never did.
pub const FLOW_UNDER_WAY: u32 = 2;
/// [`Flow::phase`] of a socket that has sent so many SYNs that it counts as failed.
pub const FLOW_LATE: u32 = 3;
/// [`Flow::phase`] of a socket whose connection was established.
pub const FLOW_ESTABLISHED: u32 = 4;
/// Added to [`FLOW_UNDER_WAY`] each time that the SYN is sent once more, up to [`FLOW_REPEATED_MOST`].
pub const FLOW_REPEATED: u32 = 1 << 4;
/// How often it is counted: Linux gives up sooner unless it is told otherwise.
pub const FLOW_REPEATED_MOST: u32 = 15;

/// Bit of [`Flow::phase`] and [`UdpFlow::awaited`] that says that a Pod is expected to reply over
/// UDP. The bits of [`FLOW_TIME`] beside it say since when.
pub const FLOW_REPLIES: u32 = 1 << 31;
/// Bit beside [`FLOW_REPLIES`]: nothing more follows from whether the socket is answered.
pub const FLOW_SETTLED: u32 = 1 << 30;
/// Bit beside [`FLOW_REPLIES`]: the record is of a socket that is not connected. It has no Pod, and
/// its Service is the one that the socket last began to wait for.
pub const FLOW_UNCONNECTED: u32 = 1 << 29;
/// Bit beside [`FLOW_UNCONNECTED`]: the socket asks from whom its datagrams are, so that replies are
/// seen.
pub const FLOW_HEARD: u32 = 1 << 28;
/// Milliseconds of `CLOCK_MONOTONIC`, as far as they fit: some three days.
pub const FLOW_TIME: u32 = FLOW_HEARD - 1;

/// Value of `FLOWS` and `FLOWS_MOVED`: the Service that a connected socket asked for, and the Pod
/// that it got.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// Socket cookie, [`FLOW_BUSY`], or free.
    pub cookie: u64,
    /// The Service's address; IPv4 in its mapped form.
    pub service: Address,
    /// The Pod's address; IPv4 in its mapped form.
    pub peer: Address,
    /// The Service's port, network byte order.
    pub service_port: u16,
    /// The Pod's port, network byte order.
    pub peer_port: u16,
    /// Index into `BACKENDS`.
    pub backend: u32,
    /// In `FLOWS`: how many records that belong to this place are in `FLOWS_MOVED`, so that the
    /// second look-up is made only where it can find something. Stays when the record changes.
    pub moved: u64,
    /// [`crate::Backend::incarnation`] where `CONNECTIONS` counts the socket, else 0.
    pub incarnation: u32,
    /// How far the connection is: one of `FLOW_*`, or [`FLOW_REPLIES`] with what stands beside it; 0
    /// where nobody looks.
    pub phase: u32,
}
pod!(Flow, 64, 8);

/// Key of `UDP_FLOWS`: one unconnected UDP socket and one Service address.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpFlowKey {
    /// Socket cookie.
    pub cookie: u64,
    /// The Service's address; IPv4 in its mapped form.
    pub address: Address,
    /// The Service's port, network byte order.
    pub port: u16,
    /// Zero.
    pub pad: [u16; 3],
}
pod!(UdpFlowKey, 32, 8);

/// Value of `UDP_FLOWS`: the Pod that the socket keeps.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UdpFlow {
    /// Index into `BACKENDS`.
    pub backend: u32,
    /// [`crate::Frontend::generation`] at which the backend was last seen among the members.
    pub generation: u32,
    /// [`FLOW_REPLIES`] and the time of the first datagram that has no reply yet; 0 where none is
    /// expected.
    pub awaited: u32,
    /// [`crate::Backend::incarnation`] of the backend then.
    pub incarnation: u32,
}
pod!(UdpFlow, 16, 4);

/// Key of `UDP_REVERSE`: one unconnected UDP socket and one Pod that it sent to.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpReverseKey {
    /// Socket cookie.
    pub cookie: u64,
    /// The Pod's address; IPv4 in its mapped form.
    pub address: Address,
    /// The Pod's port, network byte order.
    pub port: u16,
    /// Zero.
    pub pad: [u16; 3],
}
pod!(UdpReverseKey, 32, 8);

/// Value of `UDP_REVERSE`: where the socket believes that it sent.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpReverse {
    /// The Service's address; IPv4 in its mapped form.
    pub address: Address,
    /// The Service's port, network byte order.
    pub port: u16,
    /// 1 where a reply is expected, else 0.
    pub expected: u16,
}
pod!(UdpReverse, 20, 4);
