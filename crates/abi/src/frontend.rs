//! `SERVICES4`, `SERVICES6` and `SERVICE_NAMES`: the addresses that are a Service's.

use crate::{Address, pod};

/// Port of the key that stands for every port of an address: see [`ANY_PROTOCOL`].
pub const ANY_PORT: u16 = 0;
/// Protocol of the key that stands for every protocol of an address. Such a frontend has no
/// members; it refuses ports that its Service does not have.
pub const ANY_PROTOCOL: u8 = 0;

/// Set where only sockets of the node's own network namespace may use the frontend, as with a
/// node port on a loopback address: every Pod has a loopback of its own.
pub const FRONTEND_NODE_ONLY: u16 = 1;

/// Most members that one table may have; hashed tables number their members in 16 bits.
pub const MAX_MEMBERS: u32 = u16::MAX as u32;

/// Key of `SERVICES4`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ServiceKey4 {
    /// IPv4 address, network byte order.
    pub address: u32,
    /// Port, network byte order, or [`ANY_PORT`].
    pub port: u16,
    /// IP protocol number, or [`ANY_PROTOCOL`].
    pub protocol: u8,
    /// Zero.
    pub pad: u8,
}
pod!(ServiceKey4, 8, 4);

/// Key of `SERVICES6`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ServiceKey6 {
    /// IPv6 address, network byte order; never an IPv4-mapped one.
    pub address: Address,
    /// Port, network byte order, or [`ANY_PORT`].
    pub port: u16,
    /// IP protocol number, or [`ANY_PROTOCOL`].
    pub protocol: u8,
    /// Zero.
    pub pad: u8,
}
pod!(ServiceKey6, 20, 4);

/// Value of `SERVICES4` and `SERVICES6`: one address, port and protocol of a Service.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frontend {
    /// Key into `SERVICE_NAMES`.
    pub service: u32,
    /// First slot of the table, an index into `SLOTS` in slots of 32 bits.
    pub table: u32,
    /// Slots of the table; 0 refuses.
    pub members: u32,
    /// Changes with every new table, so that a remembered choice is checked against it once.
    pub generation: u32,
    /// The errno that a refused caller sees, positive.
    pub errno: u16,
    /// `FRONTEND_*` bits.
    pub flags: u16,
}
pod!(Frontend, 20, 4);

/// Longest Service name kept, in bytes: two DNS labels, a port name and separators.
pub const SERVICE_NAME_LEN: usize = 192;

/// Value of `SERVICE_NAMES`: `namespace/name:port-name/protocol`, UTF-8, zero-padded.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceName {
    /// The text, cut at the end where it is longer.
    pub text: [u8; SERVICE_NAME_LEN],
}
pod!(ServiceName, 192, 1);
