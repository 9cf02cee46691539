//! Which candidate is the best at a position.
//!
//! Each candidate ranks all positions by a permutation of its own, so that it has each rank exactly
//! once. Ranks drawn independently for each position would do as well, but the candidates' shares
//! would then vary by 1.4 times as much (Latin hypercube sampling: Stein, "Large Sample Properties
//! of Simulations Using Latin Hypercube Sampling", 1987).
//!
//! A candidate's ranks depend on nothing but itself, so that whoever joins takes positions from the
//! others, and whoever leaves gives its own to them, and no other position changes hands. Weights
//! follow "Weighted Distributed Hash Tables" (Schindelhauer and Schomaker, 2005): with
//! `x = rank / positions`, the least `-ln(1 - x) / weight` is the best.

use core::cmp::Reverse;

use etm_abi::{Candidate, POSITION_BITS, POSITIONS};

const MASK: u32 = POSITIONS - 1;
/// Half of a position's bits, rounded up: shifted by it twice, nothing is left.
const HALF: u32 = POSITION_BITS.div_ceil(2);
/// The fraction of the golden ratio: spreads a seed's bits over all of a word.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// A candidate's permutation of the positions.
#[derive(Clone, Copy, Debug)]
pub struct Ranking {
    add: u32,
    /// Odd, hence invertible for any power of two.
    multiply: [u32; 2],
}

impl Ranking {
    /// The permutation of a candidate.
    #[inline(always)]
    #[must_use]
    pub const fn of(candidate: Candidate) -> Self {
        let spread = candidate.seed().wrapping_mul(SPREAD);
        Self {
            add: spread as u32 & MASK,
            multiply: [
                (spread >> POSITION_BITS) as u32 & MASK | 1,
                (spread >> (2 * POSITION_BITS)) as u32 & MASK | 1,
            ],
        }
    }

    /// The rank of a position, 0 the best: adding, multiplying by an odd number, and folding upper
    /// bits onto lower ones can each be undone, and so can their sequence.
    #[inline(always)]
    #[must_use]
    pub const fn rank(&self, position: u32) -> u32 {
        let mut x = position.wrapping_add(self.add).wrapping_mul(self.multiply[0]) & MASK;
        x ^= x >> HALF;
        x = x.wrapping_mul(self.multiply[1]) & MASK;
        x ^ (x >> HALF)
    }

    /// The other way round: what gives the position of a rank.
    #[must_use]
    pub const fn inverse(&self) -> Positions {
        Positions {
            add: self.add,
            multiply: [inverse(self.multiply[0]), inverse(self.multiply[1])],
        }
    }
}

/// The inverse of a [`Ranking`].
#[derive(Clone, Copy, Debug)]
pub struct Positions {
    add: u32,
    multiply: [u32; 2],
}

impl Positions {
    /// The position that has a rank.
    #[inline(always)]
    #[must_use]
    pub const fn position(&self, rank: u32) -> u32 {
        let mut x = rank ^ (rank >> HALF);
        x = x.wrapping_mul(self.multiply[1]) & MASK;
        x ^= x >> HALF;
        x.wrapping_mul(self.multiply[0]).wrapping_sub(self.add) & MASK
    }
}

/// Of an odd number modulo any power of two up to 2^32: each of Newton's steps doubles the bits
/// that are right, of which there are three at the start.
const fn inverse(odd: u32) -> u32 {
    let mut x = odd;
    let mut step = 0;
    while step < 4 {
        x = x.wrapping_mul(2_u32.wrapping_sub(odd.wrapping_mul(x)));
        step += 1;
    }
    x
}

/// `-ln(1 - (rank + 1/2) / POSITIONS)` with 32 bits behind the point; grows with the rank.
#[inline(always)]
#[must_use]
pub const fn cost(rank: u32) -> u64 {
    const LN_2: u64 = 2_977_044_472;
    /// Below this, four terms of the series are exact to six digits.
    const SMALL: u64 = 1 << 28;
    let rest = (2 * (POSITIONS - rank) - 1) as u64;
    // `rest` of 2^18 halves of a position, scaled so that its upper half is used.
    let halvings = rest.leading_zeros() - (u64::BITS - POSITION_BITS - 1);
    let z = (1 << 32) - (rest << (halvings + 32 - POSITION_BITS - 1));
    let sum = if z < SMALL { series::<4>(z) } else { series::<14>(z) };
    halvings as u64 * LN_2 + sum
}

/// The first terms of `z + z^2 / 2 + z^3 / 3 ...`, each with 32 bits behind the point.
#[inline(always)]
const fn series<const TERMS: u64>(z: u64) -> u64 {
    let mut sum = 0;
    let mut term = TERMS;
    while term > 0 {
        sum = (((1 << 32) / term + sum) * z) >> 32;
        term -= 1;
    }
    sum
}

/// What a candidate offers for a position. The best is the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Offer {
    cost: u64,
    /// Between equals the larger seed has it, which happens to one position in some hundreds.
    seed: Reverse<u64>,
}

impl Offer {
    /// The offer of a candidate; among candidates of one weight, `weighted` may be false, which is
    /// faster.
    #[inline(always)]
    #[must_use]
    pub const fn of(candidate: Candidate, position: u32, weighted: bool) -> Self {
        let rank = Ranking::of(candidate).rank(position);
        let cost = if weighted { cost(rank) * candidate.inverse_weight() } else { rank as u64 };
        Self { cost, seed: Reverse(candidate.seed()) }
    }
}
