use std::sync::LazyLock;

use etm_abi::{Candidate, POSITION_BITS, POSITIONS};
use etm_decide::{COST_BITS, Ranking, cost};

use super::weighted;

/// What each rank costs: a megabyte that is there once some members have different weights.
static COSTS: LazyLock<Box<[u64]>> = LazyLock::new(|| (0..POSITIONS).map(cost).collect());

/// What a candidate offers for a position, in the order of [`etm_decide::Offer`]: the best is the
/// least, and between equals the smaller seed has it.
pub(super) type Offer = (u64, u64);

/// What candidates offer, without working the logarithm out again each time.
#[derive(Clone, Copy)]
pub(super) struct Offers {
    costs: Option<&'static [u64]>,
}

impl Offers {
    pub(super) fn among(candidates: &[Candidate]) -> Self {
        Self { costs: weighted(candidates).then(|| &**COSTS) }
    }

    /// What a rank costs whoever has this inverse of a weight; grows with the rank.
    #[inline(always)]
    pub(super) fn price(self, rank: u32, inverse_weight: u64) -> u64 {
        match self.costs.and_then(|costs| costs.get(rank as usize)) {
            Some(cost) => cost * inverse_weight,
            None => rank.into(),
        }
    }

    /// What the price of a rank is not below, quickly: `-ln(1 - x)` is not below `x`.
    #[inline(always)]
    pub(super) fn least_price(self, rank: u32, inverse_weight: u64) -> u64 {
        match self.costs {
            Some(_) => (u64::from(rank) << (COST_BITS - POSITION_BITS)) * inverse_weight,
            None => rank.into(),
        }
    }

    pub(super) fn offer(self, candidate: Candidate, position: u32) -> Offer {
        let rank = Ranking::of(candidate).rank(position);
        (self.price(rank, candidate.inverse_weight()), candidate.seed())
    }

    /// The price below which all candidates together have so many ranks that one in `left`
    /// positions is expected to have none of them.
    ///
    /// What is left is looked at for every candidate, so it should be the less the more there are.
    pub(super) fn limit(self, candidates: &[Candidate]) -> u64 {
        let left = 2.0 * candidates.len() as f64;
        let weights: f64 = match self.costs {
            Some(_) => candidates.iter().map(|one| 1.0 / one.inverse_weight() as f64).sum(),
            None => candidates.len() as f64,
        };
        let all =
            if self.costs.is_some() { f64::from(1 << COST_BITS) } else { f64::from(POSITIONS) };
        (all * left.ln() / weights).ceil() as u64
    }

    /// How many ranks cost less than a limit.
    pub(super) fn below(self, limit: u64, inverse_weight: u64) -> u32 {
        let (mut low, mut high) = (0, POSITIONS);
        while low < high {
            let middle = u32::midpoint(low, high);
            if self.price(middle, inverse_weight) < limit {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}
