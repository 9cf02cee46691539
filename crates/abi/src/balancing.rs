//! How a table's members are chosen from where it is not evenly at random.
//!
//! A table whose frontend has [`crate::FRONTEND_BALANCED`] has more in `SLOTS` than the ids of its
//! backends:
//!
//! ```text
//! [Balancing: 4 words][ids: two a word] ... [candidates: one word each] ...
//! ^ a line             ^ the frontend's      ^ a line
//!                        first slot
//! ```
//!
//! and where its members are many, or of different weights, a *shortlist* elsewhere in `SLOTS`. The
//! last candidate stands once more in what is left of its line, so that whoever compares a group
//! need not ask how many it has.
//!
//! A hash of the caller falls on one of [`POSITIONS`]. Each candidate has a rank for each position,
//! and the best one has the position: rendezvous hashing (Thaler and Ravishankar, "Using
//! Name-Based Mappings to Increase Hit Rates", 1998). A shortlist says for each position to which
//! of a few groups of members the best one belongs, so that only that group need be compared:
//! member `m` is of group `m >> group_bits`, and no group but those of thousands is in two lines. Where
//! a group is one member, nothing is compared.

use crate::pod;

/// Bits of a position.
pub const POSITION_BITS: u32 = 17;
/// Positions that a caller's hash may fall on.
pub const POSITIONS: u32 = 1 << POSITION_BITS;

/// Words of an element of `SLOTS`, which is a cache line: one look-up gives all of them.
pub const LINE_WORDS: u32 = 8;
/// Slots of the same.
pub const LINE_SLOTS: u32 = 16;

/// Members of one weight that are compared at once at most.
pub const GROUP: u32 = LINE_WORDS;
/// Members of different weights that are compared at once at most, which takes longer.
pub const SMALL_GROUP: u32 = 4;

/// Evenly or, with a shortlist, by weight at random.
pub const ALGORITHM_RANDOM: u8 = 0;
/// The less loaded of two that are drawn at random.
pub const ALGORITHM_LEAST_CONNECTIONS: u8 = 1;
/// By a hash of fields.
pub const ALGORITHM_CONSISTENT_HASH: u8 = 2;

/// The calling Pod, or the node.
pub const HASH_CALLER_POD: u8 = 1;
/// The caller's address of the Service's family.
pub const HASH_CALLER_ADDRESS: u8 = 2;
/// The namespace of the calling Pod.
pub const HASH_CALLER_NAMESPACE: u8 = 4;
/// The port that the caller's socket is bound to.
pub const HASH_CALLER_PORT: u8 = 8;
/// The port of the Service.
pub const HASH_SERVICE_PORT: u8 = 16;
/// TCP or UDP.
pub const HASH_PROTOCOL: u8 = 32;

/// Words of a [`Balancing`].
pub const BALANCING_WORDS: u32 = 4;

/// What lies before the ids of a table.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Balancing {
    /// `ALGORITHM_*`.
    pub algorithm: u8,
    /// `HASH_*` bits.
    pub fields: u8,
    /// Bits of an entry of the shortlist: 0 (there is none, all members are one group), 2, 4 or 8.
    pub shortlist_bits: u8,
    /// 1 where members have different weights.
    pub weighted: u8,
    /// Seconds for which a client stays with a member; 0 does not keep it.
    pub affinity: u32,
    /// Keeps the hashes of Services apart.
    pub salt: u64,
    /// First word of the shortlist, an index into `SLOTS` in words.
    pub shortlist: u32,
    /// Binary logarithm of the members that a group has room for.
    pub group_bits: u8,
    /// Zero.
    pub pad: [u8; 3],
    /// Zero.
    pub reserved: u64,
}
pod!(Balancing, 32, 8);

impl Balancing {
    /// As words of `SLOTS`.
    #[must_use]
    pub const fn words(&self) -> [u64; BALANCING_WORDS as usize] {
        [
            self.algorithm as u64
                | (self.fields as u64) << 8
                | (self.shortlist_bits as u64) << 16
                | (self.weighted as u64) << 24
                | (self.affinity as u64) << 32,
            self.salt,
            self.shortlist as u64
                | (self.group_bits as u64) << 32
                | (self.pad[0] as u64) << 40
                | (self.pad[1] as u64) << 48
                | (self.pad[2] as u64) << 56,
            self.reserved,
        ]
    }

    /// From words of `SLOTS`.
    #[inline(always)]
    #[must_use]
    pub const fn of(words: [u64; BALANCING_WORDS as usize]) -> Self {
        let [head, salt, place, reserved] = words;
        Self {
            algorithm: head as u8,
            fields: (head >> 8) as u8,
            shortlist_bits: (head >> 16) as u8,
            weighted: (head >> 24) as u8,
            affinity: (head >> 32) as u32,
            salt,
            shortlist: place as u32,
            group_bits: (place >> 32) as u8,
            pad: [(place >> 40) as u8, (place >> 48) as u8, (place >> 56) as u8],
            reserved,
        }
    }

    /// The line of a table's candidates, counted from that of its header.
    #[inline(always)]
    #[must_use]
    pub const fn candidates_line(members: u32) -> u32 {
        (members + 2 * BALANCING_WORDS).div_ceil(LINE_SLOTS)
    }

    /// Words of a shortlist of so many bits an entry.
    #[must_use]
    pub const fn shortlist_words(bits: u8) -> u32 {
        POSITIONS / 64 * bits as u32
    }
}

/// One member as rendezvous hashing knows it: in the lower 40 bits a seed, from which its ranks
/// follow, and above it the inverse of its weight.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Candidate(pub u64);

impl Candidate {
    const SEED_BITS: u32 = 40;
    /// Inverse of a weight of 1.
    const ONE: u64 = u64::MAX >> Self::SEED_BITS;

    /// The candidate of a seed, of which the upper 40 bits count, and a weight from 1 on.
    #[must_use]
    pub const fn new(seed: u64, weight: u16) -> Self {
        let weight = if weight == 0 { 1 } else { weight as u64 };
        Self((Self::ONE / weight) << Self::SEED_BITS | seed >> (u64::BITS - Self::SEED_BITS))
    }

    /// The seed.
    #[inline(always)]
    #[must_use]
    pub const fn seed(self) -> u64 {
        self.0 & ((1 << Self::SEED_BITS) - 1)
    }

    /// Its weight, as long as that is not much above 1,000.
    #[must_use]
    pub const fn weight(self) -> u16 {
        let inverse = self.inverse_weight();
        match (Self::ONE + inverse / 2).checked_div(inverse) {
            Some(weight) => weight as u16,
            None => 1,
        }
    }

    /// The inverse of its weight, 24 bits: by how much its ranks cost.
    #[inline(always)]
    #[must_use]
    pub const fn inverse_weight(self) -> u64 {
        self.0 >> Self::SEED_BITS
    }
}
