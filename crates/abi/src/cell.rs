//! The cells of `SERVICES4` and `SERVICES6`: the addresses that are a Service's.
//!
//! `SERVICES4` and `SERVICES6` are hash tables laid out in memory-mapped arrays: open addressing
//! with linear probing (Knuth, "The Art of Computer Programming", volume 3, section 6.4), the first
//! cell chosen by the key's hash. The verifier turns each look into an array into a few loads,
//! where the kernel's own hash map is a call of a function. A cell is written by one process
//! alone, in such an order that a program which reads it meanwhile finds the frontend as it was or
//! as it is:
//!
//! - *insert*: owner, key, target last;
//! - *replace*: target, in one store, then the owner;
//! - *remove*: target to [`crate::Target::NONE`]; the key stays, so that look-ups go on past it. The cell
//!   is given to another key only after a grace period.

use crate::{Address, Owner, pod};

/// Port of the key that stands for every port of an address: see [`ANY_PROTOCOL`].
pub const ANY_PORT: u16 = 0;
/// Protocol of the key that stands for every protocol of an address. Such a frontend has no
/// members; it refuses ports that its Service does not have.
pub const ANY_PROTOCOL: u8 = 0;

/// Cells that a look-up visits at most, from the first one on. With half of the cells taken, the
/// chance that any key of 65,536 needs more is about one in a million.
pub const PROBES: u32 = 128;

/// Cells of `SERVICES4` and of `SERVICES6` for this many frontends: a power of two, so that a mask
/// makes an index of a hash, and at most half of them taken.
#[must_use]
pub const fn cells(frontends: u32) -> u32 {
    const LEAST: u32 = 1_024;
    const MOST: u32 = 1 << 31;
    let wanted = if frontends > MOST / 2 { MOST } else { (frontends * 2).next_power_of_two() };
    if wanted < LEAST { LEAST } else { wanted }
}

/// Key of a cell of `SERVICES4`: address and port in network byte order, IP protocol number. Never
/// zero, which marks a cell that has had no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ServiceKey4(pub [u64; 1]);

impl ServiceKey4 {
    /// The key of an address, port and protocol.
    #[inline(always)]
    #[must_use]
    pub const fn new(address: u32, port: u16, protocol: u8) -> Self {
        Self([address as u64 | tail(port, protocol) << 32])
    }

    /// Address, port and protocol.
    #[must_use]
    pub const fn parts(self) -> (u32, u16, u8) {
        let (port, protocol) = tail_parts(self.0[0] >> 32);
        (self.0[0] as u32, port, protocol)
    }

    /// The cell to look at first, before the mask.
    #[inline(always)]
    #[must_use]
    pub const fn hash(self) -> u32 {
        mix(self.0[0].wrapping_mul(MULTIPLIERS[0]))
    }
}

/// Key of a cell of `SERVICES6`: the two halves of the address (never an IPv4-mapped one) and port
/// in network byte order, IP protocol number. The last word is never zero, which marks a cell that
/// has had no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ServiceKey6(pub [u64; 3]);

impl ServiceKey6 {
    /// The key of an address, port and protocol.
    #[inline(always)]
    #[must_use]
    pub const fn new(address: &Address, port: u16, protocol: u8) -> Self {
        Self([
            address[0] as u64 | (address[1] as u64) << 32,
            address[2] as u64 | (address[3] as u64) << 32,
            tail(port, protocol),
        ])
    }

    /// Address, port and protocol.
    #[must_use]
    pub const fn parts(self) -> (Address, u16, u8) {
        let [upper, lower, last] = self.0;
        let address = [upper as u32, (upper >> 32) as u32, lower as u32, (lower >> 32) as u32];
        let (port, protocol) = tail_parts(last);
        (address, port, protocol)
    }

    /// The cell to look at first, before the mask.
    #[inline(always)]
    #[must_use]
    pub const fn hash(self) -> u32 {
        let [upper, lower, last] = self.0;
        mix(lower.wrapping_mul(MULTIPLIERS[0])
            ^ upper.wrapping_mul(MULTIPLIERS[1])
            ^ last.wrapping_mul(MULTIPLIERS[2]))
    }
}

/// Port, protocol, and a byte that is never zero.
#[inline(always)]
const fn tail(port: u16, protocol: u8) -> u64 {
    port as u64 | (protocol as u64) << 16 | 1 << 24
}

const fn tail_parts(tail: u64) -> (u16, u8) {
    (tail as u16, (tail >> 16) as u8)
}

/// Odd numbers without a pattern: the fractions of the golden ratio and of the square roots of 2
/// and 3.
const MULTIPLIERS: [u64; 3] = [0x9e37_79b9_7f4a_7c15, 0x6a09_e667_f3bc_c909, 0xbb67_ae85_84ca_a73b];

/// Addresses and ports come in rows, so that one multiplication alone would leave rows of cells.
#[inline(always)]
const fn mix(word: u64) -> u32 {
    ((word ^ (word >> 32)).wrapping_mul(MULTIPLIERS[0]) >> 32) as u32
}

/// Element of `SERVICES4`, half a cache line.
#[repr(C, align(32))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServiceCell4 {
    /// [`ServiceKey4`].
    pub key: [u64; 1],
    /// [`crate::Target`].
    pub target: u64,
    /// The rest.
    pub owner: Owner,
}
pod!(ServiceCell4, 32, 32);

/// Element of `SERVICES6`, a cache line.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServiceCell6 {
    /// [`ServiceKey6`].
    pub key: [u64; 3],
    /// [`crate::Target`].
    pub target: u64,
    /// The rest.
    pub owner: Owner,
    /// Zero.
    pub reserved: [u64; 2],
}
pod!(ServiceCell6, 64, 64);
