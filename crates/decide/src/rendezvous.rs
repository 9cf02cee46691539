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

use etm_abi::{Candidate, GROUP, POSITION_BITS, POSITIONS};

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

/// Bits behind the point of a [`cost`].
pub const COST_BITS: u32 = 20;

/// Straight lines that the logarithm is made of.
const PIECES: u32 = 256;
/// Bits of a half of a position within a piece.
const PIECE_BITS: u32 = POSITION_BITS + 1 - PIECES.ilog2();

/// Where each piece begins, in the upper half of a word, and by how much it falls.
static LOGARITHM: [u64; PIECES as usize] = logarithm();

/// `-ln(1 - (rank + 1/2) / POSITIONS)` with [`COST_BITS`] bits behind the point; grows with the
/// rank. Two parts in a thousand above at most, but for one rank in 64, the worst ones.
#[inline(always)]
#[must_use]
pub const fn cost(rank: u32) -> u64 {
    let rest = 2 * (POSITIONS - 1 - (rank & MASK)) + 1;
    let (piece, part) = (rest >> PIECE_BITS, rest & ((1 << PIECE_BITS) - 1));
    let line = LOGARITHM[(piece & (PIECES - 1)) as usize];
    let fallen = (line & u32::MAX as u64) * part as u64 + (1 << (PIECE_BITS - 1));
    (line >> 32) - (fallen >> PIECE_BITS)
}

const fn logarithm() -> [u64; PIECES as usize] {
    let mut pieces = [0; PIECES as usize];
    let mut piece = 0;
    while piece < PIECES {
        let end = minus_ln(piece + 1);
        // The logarithm has no end at 0; so steep a line has the same mean.
        let start = if piece == 0 { end + (2 << COST_BITS) } else { minus_ln(piece) };
        pieces[piece as usize] = start << 32 | (start - end);
        piece += 1;
    }
    pieces
}

/// `-ln(piece / PIECES)`, rounded.
const fn minus_ln(piece: u32) -> u64 {
    const LN_2: u64 = 2_977_044_472;
    let halvings = PIECES.ilog2() - (2 * piece - 1).ilog2();
    let z = (1 << 32) - ((piece as u64) << (32 + halvings - PIECES.ilog2()));
    // z + z^2 / 2 + z^3 / 3 ..., each with 32 bits behind the point; z is below a
    // half.
    let mut sum = 0;
    let mut term = 32;
    while term > 0 {
        sum = (((1 << 32) / term + sum) * z) >> 32;
        term -= 1;
    }
    (halvings as u64 * LN_2 + sum + (1 << (31 - COST_BITS))) >> (32 - COST_BITS)
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

    /// The offer of a member of a group, in one number: its lower bits are the member's number in
    /// the group, so that the least of all offers says whose it is. Below 2^63.
    ///
    /// With weights there is room for no more than the upper 13 bits of the seed: of two equals
    /// that have these alike, once in 10^8 positions, the first has it.
    #[inline(always)]
    #[must_use]
    pub const fn numbered(candidate: Candidate, position: u32, weighted: bool, number: u32) -> u64 {
        let rank = Ranking::of(candidate).rank(position);
        let last = !(GROUP as u64 - 1);
        let offer = if weighted {
            (cost(rank) * candidate.inverse_weight()) << 16 | !candidate.0 >> 48 & last
        } else {
            (rank as u64) << 46 | !candidate.0 >> 18 & SEED
        };
        offer | number as u64
    }
}

/// Where a seed stands in an offer without weights.
const SEED: u64 = ((1 << 40) - 1) << 6;
