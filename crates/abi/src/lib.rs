//! Keys and values of the kernel maps, shared by the kernel programs and user space.
//!
//! Everything here is `repr(C)`, made of integers, and padded by hand, so that both sides
//! and every compiler agree on each byte. Addresses and ports are in network byte order as
//! the kernel's `bpf_sock_addr` has them. Any change of a layout here, of a map's kind, or of
//! what a field means, bumps [`ABI_VERSION`].
#![cfg_attr(not(test), no_std)]

mod affinity;
mod backend;
mod balancing;
mod caller;
mod cell;
mod choice;
mod event;
mod flow;
mod frontend;
mod health;
mod meta;
mod name;
mod route;

pub use affinity::{Affinity, AffinityKey};
pub use backend::{
    BACKEND_AVAILABLE, BACKEND_EJECTED, BACKEND_FREE, BACKEND_OUT, Backend, state_of, with_state,
};
pub use balancing::{
    ALGORITHM_CONSISTENT_HASH, ALGORITHM_LEAST_CONNECTIONS, ALGORITHM_RANDOM, BALANCING_WORDS,
    Balancing, Candidate, GROUP, HASH_CALLER_ADDRESS, HASH_CALLER_NAMESPACE, HASH_CALLER_POD,
    HASH_CALLER_PORT, HASH_PROTOCOL, HASH_SERVICE_PORT, LINE_SLOTS, LINE_WORDS, POSITION_BITS,
    POSITIONS, SMALL_GROUP,
};
pub use caller::{
    CACHED_BUSY, CACHED_NODE, CALLER_LEVELS, CALLER_NAME_LEN, CALLER_NODE, CALLER_PLACES,
    CachedCaller, Caller, MAX_SOURCES, SOURCE_FRONTEND_BITS, SourceKey,
};
pub use cell::{
    ANY_PORT, ANY_PROTOCOL, PROBES, ServiceCell4, ServiceCell6, ServiceKey4, ServiceKey6, cells,
};
pub use choice::{CHOICE_PLACES, Choice};
pub use event::{Counter, Event};
pub use flow::{
    FLOW_ASKED, FLOW_BUSY, FLOW_CLOSED, FLOW_ESTABLISHED, FLOW_HEARD, FLOW_LATE, FLOW_REPEATED,
    FLOW_REPEATED_MOST, FLOW_REPLIES, FLOW_SETTLED, FLOW_SLOTS, FLOW_TIME, FLOW_UNCONNECTED,
    FLOW_UNDER_WAY, Flow, UdpFlow, UdpFlowKey, UdpReverse, UdpReverseKey,
};
pub use frontend::{
    FRONTEND_ANYWAY, FRONTEND_BALANCED, FRONTEND_ELSEWHERE, FRONTEND_FLAGS, FRONTEND_NODE_ONLY,
    FRONTEND_ROUTED, FRONTEND_SOURCES, Frontend, MAX_MEMBERS, Owner, Target,
};
pub use health::{
    BackendReason, Ejection, Failure, HEALTH_POLICIES, HEALTH_POLICY_NONE, Happened, HealthPolicy,
    MAX_REASONS, MAX_TIMES, Outcomes, REASON_LEN, ShunnedKey,
};
pub use meta::Meta;
pub use name::{
    BACKEND_NAME_LEN, NAMES_TOGETHER, NamePart, PART_BITS, PART_TEXT, SERVICE_NAME_LEN, name_parts,
};
pub use route::{Class, LINE_CALLERS, MAX_CLASSES, MAX_PARTS, PART_WORDS, RouteHeader};

/// Version of the layouts in this crate; pinned maps of another version are never written to.
pub const ABI_VERSION: u32 = 7;

/// `IPPROTO_TCP`. MPTCP sockets (`IPPROTO_MPTCP`, 262) are looked up as TCP.
pub const PROTOCOL_TCP: u8 = 6;
/// `IPPROTO_UDP`.
pub const PROTOCOL_UDP: u8 = 17;

/// An IPv6 address, or an IPv4 address in its IPv4-mapped form (RFC 4291, section 2.5.5.2), as
/// four words in network byte order.
pub type Address = [u32; 4];

/// The third word of an IPv4-mapped address: `::ffff:0:0/96`.
pub const MAPPED_PREFIX: u32 = 0xffff_u32.to_be();

/// Puts an IPv4 address (network byte order) into its IPv4-mapped form.
#[inline(always)]
#[must_use]
pub const fn mapped(address: u32) -> Address {
    [0, 0, MAPPED_PREFIX, address]
}

/// Whether an address is an IPv4-mapped one.
#[inline(always)]
#[must_use]
pub const fn is_mapped(address: &Address) -> bool {
    address[0] == 0 && address[1] == 0 && address[2] == MAPPED_PREFIX
}

/// Marks a type that has no padding and no invalid bit patterns, so that its bytes can be copied
/// in and out of a map.
///
/// # Safety
///
/// The type must be `repr(C)`, made only of integers and arrays of integers, and have no implicit
/// padding; each implementation is followed by a constant assertion of its size.
#[allow(unsafe_code, reason = "a promise about layouts is an unsafe trait")]
pub unsafe trait Pod: Copy + 'static {}

macro_rules! pod {
    ($type:ty, $size:literal, $align:literal) => {
        // SAFETY: `repr(C)` with integer fields only; the fields' sizes add up to the asserted size.
        #[allow(unsafe_code, reason = "the layout is asserted beside it")]
        unsafe impl $crate::Pod for $type {}
        const _: () = assert!(core::mem::size_of::<$type>() == $size);
        const _: () = assert!(core::mem::align_of::<$type>() == $align);
    };
}
pub(crate) use pod;

pod!(u64, 8, 8);
