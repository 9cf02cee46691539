//! `CHOICES`: which members callers were hashed to lately.

use crate::pod;

/// Places of `CHOICES`. A power of two.
pub const CHOICE_PLACES: u32 = 8_192;

/// Element of `CHOICES`: the best member for a process's cgroup, of one table. It is computed anew
/// wherever this does not say it.
///
/// Whoever writes takes no lock: [`Choice::member`] is one word, whose upper half is the key's once
/// more, so that a reader tells a member that was written beside another key.
#[repr(C, align(32))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// The process's own cgroup.
    pub cgroup: u64,
    /// The [`crate::Target`] of the table.
    pub target: u64,
    /// [`crate::Owner::generation`], and above it the lower half of `CALLER_EPOCH`: the table's place
    /// may be given to another, and the cgroup's Pod may be told to be another.
    pub version: u64,
    /// Index into `BACKENDS`, and above it the upper half of [`Choice::mark`].
    pub member: u64,
}
pod!(Choice, 32, 32);

impl Choice {
    /// Words of a key, mixed: each is multiplied by an odd number of its own (multilinear hashing;
    /// Lemire and Kaser, "Strongly universal string hashing is fast", 2014), and the sum by another.
    /// The low bits choose the place.
    #[inline(always)]
    #[must_use]
    pub const fn mark(cgroup: u64, target: u64, version: u64) -> u64 {
        let sum = cgroup
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .wrapping_add(target.wrapping_mul(0xbf58_476d_1ce4_e5b9))
            .wrapping_add(version.wrapping_mul(0x94d0_49bb_1331_11eb));
        let mixed = (sum ^ (sum >> 31)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        mixed ^ (mixed >> 32)
    }

    /// [`Choice::member`] of a backend under a key.
    #[inline(always)]
    #[must_use]
    pub const fn member(mark: u64, backend: u32) -> u64 {
        mark & !(u32::MAX as u64) | backend as u64
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn keys_that_are_alike_are_spread_over_the_places() {
        let keys =
            (0..64).flat_map(|cgroup| (0..64).map(move |table| (4_000 + cgroup, table * 16)));
        let marks: BTreeSet<u64> = keys
            .map(|(cgroup, table)| Choice::mark(cgroup, table | 3 << 32, 1 << 32 | 1_700_000_000))
            .collect();
        assert_eq!(marks.len(), 4_096);
        let places: BTreeSet<u64> =
            marks.iter().map(|mark| mark % u64::from(CHOICE_PLACES)).collect();
        // Thrown at random, they would be in 3,223.
        assert!(places.len() > 3_100, "{}", places.len());
    }

    #[test]
    fn each_part_of_a_key_makes_another_mark_in_both_halves() {
        let mark = Choice::mark(7, 8, 9);
        for other in [(8, 8, 9), (7, 9, 9), (7, 8, 10), (8, 7, 9), (9, 8, 7)] {
            let other = Choice::mark(other.0, other.1, other.2);
            assert_ne!(mark as u32, other as u32);
            assert_ne!(mark >> 32, other >> 32);
        }
    }

    #[test]
    fn a_member_written_under_another_key_is_told() {
        let word = Choice::member(Choice::mark(1, 2, 3), 41);
        assert_eq!(word as u32, 41);
        assert_eq!(Choice::member(Choice::mark(1, 2, 3), word as u32), word);
        assert_ne!(Choice::member(Choice::mark(1, 2, 4), word as u32), word);
    }
}
