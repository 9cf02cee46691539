//! `BACKENDS` and `BACKEND_NAMES`: the Pods' addresses, one record for each address, port and
//! protocol, however many Services share it.

use crate::{Address, pod};

/// State of a record that no table may name.
pub const BACKEND_FREE: u8 = 0;
/// State of a record that new connections may be sent to.
pub const BACKEND_AVAILABLE: u8 = 1;

/// Value of `BACKENDS`, a cache line of its own.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backend {
    /// The Pod's address; IPv4 in its mapped form.
    pub address: Address,
    /// The Pod's port, network byte order.
    pub port: u16,
    /// IP protocol number.
    pub protocol: u8,
    /// One of `BACKEND_*`.
    pub state: u8,
    /// Another number each time that the record is given to a Pod; never 0 in one that is. Tells
    /// a socket that closes whether the count of connections has it.
    pub incarnation: u32,
    /// Zero; room for the verdict of a later version.
    pub reserved: [u32; 10],
}
pod!(Backend, 64, 64);

/// Longest backend name kept, in bytes.
pub const BACKEND_NAME_LEN: usize = 128;

/// Value of `BACKEND_NAMES`: `namespace/pod`, UTF-8, zero-padded; empty where no Pod is known.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackendName {
    /// The text, cut at the end where it is longer.
    pub text: [u8; BACKEND_NAME_LEN],
}
pod!(BackendName, 128, 1);
