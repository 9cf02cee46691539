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

use etm_abi::{Candidate, GROUP, POSITION_BITS, POSITIONS};

const MASK: u32 = POSITIONS - 1;
/// Half of a position's bits, rounded up: shifted by it twice, nothing is left.
const HALF: u32 = POSITION_BITS.div_ceil(2);
/// Where in a seed the first and the second multiplier begin; what is added is in its lowest bits.
/// Of 40 bits some are of both multipliers.
const MULTIPLIERS: [u32; 2] = [17, 23];

/// A candidate's permutation of the positions.
#[derive(Clone, Copy, Debug)]
pub struct Ranking {
    /// Of these three, the bits of a position count.
    add: u32,
    /// Odd, hence invertible for any power of two.
    multiply: [u32; 2],
}

impl Ranking {
    /// The permutation of a candidate.
    #[inline(always)]
    #[must_use]
    pub const fn of(candidate: Candidate) -> Self {
        let [first, second] = MULTIPLIERS;
        Self {
            add: candidate.0 as u32,
            multiply: [(candidate.0 >> first) as u32 | 1, (candidate.0 >> second) as u32 | 1],
        }
    }

    /// The rank of a position, 0 the best: adding, multiplying by an odd number, and folding upper
    /// bits onto lower ones can each be undone, and so can their sequence.
    #[inline(always)]
    #[must_use]
    pub const fn rank(&self, position: u32) -> u32 {
        let mut x = position.wrapping_add(self.add).wrapping_mul(self.multiply[0]) & MASK;
        x ^= x >> HALF;
        x.wrapping_mul(self.multiply[1]) & MASK
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
        let mut x = rank.wrapping_mul(self.multiply[1]) & MASK;
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
/// Bits of a rank within a piece.
const PIECE_BITS: u32 = POSITION_BITS - PIECES.ilog2();

/// A straight line: what its first rank costs, and by how much it rises to the next piece.
///
/// By rank and in words of half the size, since each instruction counts where members are compared.
#[derive(Clone, Copy)]
struct Line {
    start: u32,
    rise: u32,
}

static LOGARITHM: [Line; PIECES as usize] = logarithm();

/// `-ln(1 - (rank + 1/2) / POSITIONS)` with [`COST_BITS`] bits behind the point; grows with the
/// rank. Two parts in a thousand above at most, but for one rank in 64, the worst ones.
#[inline(always)]
#[must_use]
pub const fn cost(rank: u32) -> u64 {
    let line = &LOGARITHM[(rank >> PIECE_BITS & (PIECES - 1)) as usize];
    let part = rank & ((1 << PIECE_BITS) - 1);
    line.start as u64 + ((line.rise as u64 * part as u64) >> PIECE_BITS)
}

const fn logarithm() -> [Line; PIECES as usize] {
    let mut lines = [Line { start: 0, rise: 0 }; PIECES as usize];
    let mut piece = 0;
    while piece < PIECES {
        let start = minus_ln(PIECES - piece);
        // The logarithm has no end at 0; so steep a line has the same mean.
        let last = piece == PIECES - 1;
        let rise = if last { 2 << COST_BITS } else { minus_ln(PIECES - piece - 1) - start };
        // The middle of the first rank.
        let start = start + (rise >> PIECE_BITS).div_ceil(2);
        lines[piece as usize] = Line { start: start as u32, rise: rise as u32 };
        piece += 1;
    }
    lines
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
    /// Between equals the smaller seed has it, which happens to one position in some hundreds.
    seed: u64,
}

impl Offer {
    /// The offer of a candidate; among candidates of one weight, `weighted` may be false, which is
    /// faster.
    #[inline(always)]
    #[must_use]
    pub const fn of(candidate: Candidate, position: u32, weighted: bool) -> Self {
        let rank = Ranking::of(candidate).rank(position);
        let cost = if weighted { cost(rank) * candidate.inverse_weight() } else { rank as u64 };
        Self { cost, seed: candidate.seed() }
    }

    /// The offer of a member of a group, in one number: its lower bits are the member's number in
    /// the group, so that the least of all offers says whose it is. Below 2^63.
    ///
    /// There is room for the upper 28 bits of the seed, with weights 13: of two equals that have
    /// these alike, with weights once in 10^8 positions, the first has it.
    #[inline(always)]
    #[must_use]
    pub const fn numbered(candidate: Candidate, position: u32, weighted: bool, number: u32) -> u64 {
        let rank = Ranking::of(candidate).rank(position);
        let offer = if weighted {
            (cost(rank) * candidate.inverse_weight()) << 16 | candidate.0 >> 24 & below(16)
        } else {
            (rank as u64) << 46 | candidate.0 >> 9 & below(31)
        };
        offer | number as u64
    }
}

/// A mask of the bits below one, without those of a member's number.
const fn below(bit: u32) -> u64 {
    (1 << bit) - GROUP as u64
}
