//! Consistent hashing: who of a pool's members has which of the positions on which callers fall.
//!
//! Each position goes to the member that ranks it best (see `etm-decide`). The kernel finds that
//! one among few members by comparing them, and among many with the help of a shortlist, which is
//! made here. Nothing depends on what was before, so every node has the same.

mod bound;
mod offers;
mod owners;

use std::{collections::HashSet, sync::Arc};

use etm_abi::{Balancing, Candidate, GROUP, SMALL_GROUP};

pub use owners::owners;

use crate::{identity::identity, plan::Member};

/// The members of a pool as rendezvous hashing knows them, in the pool's order.
#[must_use]
pub fn candidates(pool: &[Member]) -> Vec<Candidate> {
    let mut seeds = HashSet::with_capacity(pool.len());
    pool.iter()
        .map(|member| {
            let mut seed = identity(member);
            // A Pod may be there with several ports, which must not want the same positions.
            while !seeds.insert(seed) {
                seed = seed.rotate_left(16).wrapping_add(member.backend.port.into());
            }
            Candidate::new(seed, member.weight.get())
        })
        .collect()
}

/// What narrows the choice for each position to a few members.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Shortlist {
    /// Bits of an entry: 2, 4 or 8.
    pub bits: u8,
    /// The entries, position 0 in the lowest bits of the first word.
    pub words: Arc<[u64]>,
}

/// Whether members have different weights.
#[must_use]
pub fn weighted(candidates: &[Candidate]) -> bool {
    let mut weights = candidates.iter().map(|candidate| candidate.inverse_weight());
    let first = weights.next();
    weights.any(|weight| Some(weight) != first)
}

/// Bits of an entry of the shortlist; 0 where there is no need for one.
#[must_use]
pub fn shortlist_bits(candidates: &[Candidate]) -> u8 {
    if candidates.len() <= GROUP as usize && !weighted(candidates) {
        return 0;
    }
    let fits = |bits: &u8| candidates.len() <= (SMALL_GROUP as usize) << bits;
    [0, 2, 4].into_iter().find(fits).unwrap_or(8)
}

/// Binary logarithm of the members that a group has room for, where a shortlist has so many bits an
/// entry: neighbours, so that they are in one cache line.
#[must_use]
pub fn group_bits(members: usize, shortlist_bits: u8) -> u8 {
    members.div_ceil(1 << shortlist_bits).next_power_of_two().ilog2() as u8
}

/// The shortlist of a pool; none where its members are so few that they are compared at once.
#[must_use]
pub fn shortlist(candidates: &[Candidate]) -> Option<Shortlist> {
    let bits = shortlist_bits(candidates);
    if bits == 0 {
        return None;
    }
    let group_bits = group_bits(candidates.len(), bits);
    let mut words = vec![0; Balancing::shortlist_words(bits) as usize];
    let entries = usize::from(64 / bits);
    for (word, owners) in words.iter_mut().zip(owners(candidates).chunks(entries)) {
        for (at, owner) in owners.iter().enumerate() {
            *word |= u64::from(*owner >> group_bits) << (at * usize::from(bits));
        }
    }
    Some(Shortlist { bits, words: words.into() })
}
