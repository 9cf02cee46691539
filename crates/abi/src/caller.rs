//! `CALLERS` and `SOURCES`: who calls, and from where a frontend may be called.

use crate::{Address, pod};

/// Key of `CALLERS` under which the node itself stands, for calls from its own network namespace
/// and no Pod's cgroup. No cgroup has this id.
pub const CALLER_NODE: u64 = 0;

/// Levels of the cgroup hierarchy, from below the root on, at which a Pod's cgroup is looked for.
/// The kubelet makes it at level 2 or 3; a node that is itself a container adds some.
pub const CALLER_LEVELS: i32 = 12;

/// Longest caller name kept, in bytes.
pub const CALLER_NAME_LEN: usize = 128;

/// Value of `CALLERS`, by the id of a Pod's cgroup.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Its IPv4 address in network byte order; 0 where it has none, or none that is known yet.
    pub ipv4: u32,
    /// Its number in routes; 0 where it has none.
    pub number: u32,
    /// Its IPv6 address; zero as above.
    pub ipv6: Address,
    /// `namespace/pod` or the node's name as a number, for consistent hashing; 0 where it is not
    /// known.
    pub pod: u64,
    /// The namespace as a number; 0 for the node, and where it is not known.
    pub namespace: u64,
    /// `namespace/pod`, UTF-8, zero-padded; empty where the Pod is not known yet.
    pub name: [u8; CALLER_NAME_LEN],
    /// UID of the Pod, as its cgroup's name has it; empty for the node.
    pub uid: [u8; 40],
}
pod!(Caller, 208, 8);

/// Places of `CALLER_CACHE`; the low bits of a cgroup's id choose one. A power of two.
pub const CALLER_PLACES: u32 = 4_096;
/// [`CachedCaller::cgroup`] under which the node itself stands.
pub const CACHED_NODE: u64 = u64::MAX;
/// [`CachedCaller::cgroup`] while a place is being written.
pub const CACHED_BUSY: u64 = u64::MAX - 1;

/// Element of `CALLER_CACHE`, a cache line: what a walk from a process's cgroup up to its Pod's, and
/// the look-up there, came to.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CachedCaller {
    /// The process's own cgroup, [`CACHED_NODE`], [`CACHED_BUSY`], or 0 for a place never written.
    pub cgroup: u64,
    /// What `CALLER_EPOCH` was: after each change of `CALLERS` it is another.
    pub epoch: u64,
    /// The rest as in [`Caller`]; nothing but zeros where no Pod was found.
    pub pod: u64,
    /// See above.
    pub namespace: u64,
    /// See above.
    pub ipv6: Address,
    /// See above.
    pub ipv4: u32,
    /// 1 where there is a caller.
    pub found: u32,
    /// See [`Caller::number`].
    pub number: u32,
    /// Zero.
    pub reserved: u32,
}
pod!(CachedCaller, 64, 64);

/// What a key of `SOURCES` is matched with, from its first bit on: a frontend, then the caller's
/// address. The kernel compares bits in the order of bytes in memory.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceKey {
    /// The frontend's address; IPv4 in its mapped form.
    pub service: Address,
    /// The frontend's port, network byte order.
    pub port: u16,
    /// IP protocol number.
    pub protocol: u8,
    /// Zero.
    pub pad: u8,
    /// The caller's address; IPv4 in its mapped form.
    pub source: Address,
}
pod!(SourceKey, 36, 4);

/// Entries of `SOURCES` at most.
pub const MAX_SOURCES: u32 = 65_536;

/// Bits of a [`SourceKey`] before the caller's address.
pub const SOURCE_FRONTEND_BITS: u32 = 160;
