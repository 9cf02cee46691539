use std::cmp::Reverse;

use etm_abi::{Candidate, POSITIONS};
use etm_decide::{Offer, Positions, Ranking, cost};

use super::{bound::bound, shortlist_bits, weighted};

/// No member has the position yet.
const NOBODY: u16 = u16::MAX;

/// Positions that are left for a second look, one of so many: what is left is looked at for every
/// candidate, what is not is written several times.
const LEFT: f64 = 40.0;

/// The member that has each position, by index.
#[must_use]
pub fn owners(candidates: &[Candidate]) -> Vec<u16> {
    if candidates.is_empty() {
        return Vec::new();
    }
    let mut owners = if weighted(candidates) { heaviest(candidates) } else { best(candidates) };
    bound(candidates, 1 << shortlist_bits(candidates), &mut owners);
    owners
}

/// The owners where all weights are equal.
///
/// Instead of asking each candidate for its rank of each position, the candidates write their names
/// on the positions of their best ranks, from the last of these to the first: the last to write was
/// the best, and the one with the larger seed among equals.
fn best(candidates: &[Candidate]) -> Vec<u16> {
    let mut order: Vec<_> = (0_u16..).zip(candidates).collect();
    order.sort_unstable_by_key(|(_, candidate)| candidate.seed());
    let order: Vec<(u16, Positions)> =
        order.into_iter().map(|(index, one)| (index, Ranking::of(*one).inverse())).collect();
    let mut owners = vec![NOBODY; POSITIONS as usize];
    let ranks = f64::from(POSITIONS) * LEFT.ln() / candidates.len() as f64;
    for rank in (0..(ranks.ceil() as u32).min(POSITIONS)).rev() {
        for (index, positions) in &order {
            if let Some(owner) = owners.get_mut(positions.position(rank) as usize) {
                *owner = *index;
            }
        }
    }
    let left: Vec<u32> = left(&owners);
    let mut least = vec![(u32::MAX, NOBODY); left.len()];
    // From the larger seed to the smaller, so that the larger has what both rank alike.
    for (index, _) in order.iter().rev() {
        let Some(candidate) = candidates.get(usize::from(*index)) else { continue };
        let ranking = Ranking::of(*candidate);
        for (position, least) in left.iter().zip(&mut least) {
            let rank = ranking.rank(*position);
            *least = if rank < least.0 { (rank, *index) } else { *least };
        }
    }
    for (position, (_, index)) in left.into_iter().zip(least) {
        set(&mut owners, position, index);
    }
    owners
}

/// The owners where weights differ: each candidate looks at the positions of its best ranks, the
/// more the heavier it is.
fn heaviest(candidates: &[Candidate]) -> Vec<u16> {
    let mut owners = vec![NOBODY; POSITIONS as usize];
    let mut least = vec![u64::MAX; POSITIONS as usize];
    let mut order: Vec<_> = (0_u16..).zip(candidates).collect();
    // The first of equals keeps a position.
    order.sort_unstable_by_key(|(_, candidate)| Reverse(candidate.seed()));
    let weights = order.iter().map(|(_, candidate)| 1.0 / candidate.inverse_weight() as f64);
    let limit = (LEFT.ln() / weights.sum::<f64>() * 2_f64.powi(32)) as u64;
    for (index, candidate) in &order {
        let positions = Ranking::of(**candidate).inverse();
        for rank in 0..POSITIONS {
            let cost = cost(rank) * candidate.inverse_weight();
            if cost >= limit {
                break;
            }
            let position = positions.position(rank);
            let Some(least) = least.get_mut(position as usize) else { continue };
            if cost < *least {
                *least = cost;
                set(&mut owners, position, *index);
            }
        }
    }
    for position in left(&owners) {
        let offers = (0_u16..).zip(candidates);
        let best = offers.min_by_key(|(_, candidate)| Offer::of(**candidate, position, true));
        set(&mut owners, position, best.map_or(0, |(index, _)| index));
    }
    owners
}

/// The positions that no member has yet.
fn left(owners: &[u16]) -> Vec<u32> {
    let positions = (0..).zip(owners);
    positions.filter(|(_, owner)| **owner == NOBODY).map(|(position, _)| position).collect()
}

fn set(owners: &mut [u16], position: u32, index: u16) {
    if let Some(owner) = owners.get_mut(position as usize) {
        *owner = index;
    }
}
