use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, binary_heap::PeekMut},
};

use etm_abi::{Candidate, POSITIONS};
use etm_decide::{Positions, Ranking};

use super::{bound::bound, group_bits, offers::Offers, shortlist_bits};

/// No member has the position yet.
const NOBODY: u16 = u16::MAX;

/// The member that has each position, by index.
#[must_use]
pub fn owners(candidates: &[Candidate]) -> Vec<u16> {
    if candidates.is_empty() {
        return Vec::new();
    }
    let offers = Offers::among(candidates);
    let mut owners = vec![NOBODY; POSITIONS as usize];
    best_ranks(candidates, offers, &mut owners);
    second_look(candidates, offers, &mut owners);
    let group = 1 << group_bits(candidates.len(), shortlist_bits(candidates));
    bound(candidates, offers, group, &mut owners);
    owners
}

/// Candidates of one weight.
struct Class {
    /// Their indexes, the one with the smaller seed behind; of equal ones the first.
    members: Vec<(u16, Positions)>,
    inverse_weight: u64,
    /// Ranks that are still to be written.
    ranks: u32,
}

impl Class {
    /// The worst rank to be written, and its price.
    fn worst(&self, offers: Offers) -> Option<(u64, u32)> {
        let rank = self.ranks.checked_sub(1)?;
        Some((offers.price(rank, self.inverse_weight), rank))
    }
}

/// Gives most positions to their best candidate.
///
/// Instead of asking each candidate for its rank of each position, the candidates write their names
/// on the positions of their best ranks, from the dearest of these to the cheapest: the last to
/// write was the best, and the one with the smaller seed among equals. What is left is looked at for
/// each candidate, what is not is written several times; the cut between the two follows from what
/// both cost.
fn best_ranks(candidates: &[Candidate], offers: Offers, owners: &mut [u16]) {
    let limit = offers.limit(candidates);
    let mut classes = classes(candidates, offers, limit);
    let worst = |(number, class): (usize, &Class)| Some((class.worst(offers)?, number));
    let mut next: BinaryHeap<_> = classes.iter().enumerate().filter_map(worst).collect();
    let mut last = None;
    while let Some(mut top) = next.peek_mut() {
        let ((price, rank), number) = *top;
        let Some(class) = classes.get_mut(number) else { break };
        // Two weights may make the same price of different ranks: then the seeds decide.
        if last == Some(price) {
            write_better(candidates, offers, class, rank, owners);
        } else {
            write(class, rank, owners);
        }
        last = Some(price);
        class.ranks = rank;
        match class.worst(offers) {
            Some(worst) => *top = (worst, number),
            None => {
                PeekMut::pop(top);
            }
        }
    }
}

fn classes(candidates: &[Candidate], offers: Offers, limit: u64) -> Vec<Class> {
    let mut order: Vec<_> = (0_u16..).zip(candidates).collect();
    order.sort_unstable_by_key(|(index, candidate)| Reverse((candidate.seed(), *index)));
    let mut classes = BTreeMap::<u64, Vec<_>>::new();
    for (index, candidate) in order {
        let member = (index, Ranking::of(*candidate).inverse());
        classes.entry(candidate.inverse_weight()).or_default().push(member);
    }
    let class = |(inverse_weight, members)| Class {
        members,
        inverse_weight,
        ranks: offers.below(limit, inverse_weight),
    };
    classes.into_iter().map(class).collect()
}

fn write(class: &Class, rank: u32, owners: &mut [u16]) {
    for (index, positions) in &class.members {
        set(owners, positions.position(rank), *index);
    }
}

#[cold]
fn write_better(
    candidates: &[Candidate],
    offers: Offers,
    class: &Class,
    rank: u32,
    owners: &mut [u16],
) {
    for (index, positions) in &class.members {
        let position = positions.position(rank);
        let offer = |index: u16| Some(offers.offer(*candidates.get(usize::from(index))?, position));
        let owner = owners.get(position as usize).copied().unwrap_or(NOBODY);
        if offer(owner).is_none_or(|other| offer(*index) < Some(other)) {
            set(owners, position, *index);
        }
    }
}

/// Asks each candidate for what is left.
fn second_look(candidates: &[Candidate], offers: Offers, owners: &mut [u16]) {
    let all = (0..).zip(owners.iter());
    let left: Vec<u32> =
        all.filter(|(_, owner)| **owner == NOBODY).map(|(position, _)| position).collect();
    let mut least = vec![(u64::MAX, NOBODY); left.len()];
    let mut order: Vec<_> = (0_u16..).zip(candidates).collect();
    // The first of equals keeps a position.
    order.sort_unstable_by_key(|(index, candidate)| (candidate.seed(), *index));
    for (index, candidate) in order {
        let (ranking, inverse_weight) = (Ranking::of(*candidate), candidate.inverse_weight());
        for (position, least) in left.iter().zip(&mut least) {
            let rank = ranking.rank(*position);
            if offers.least_price(rank, inverse_weight) < least.0 {
                let price = offers.price(rank, inverse_weight);
                *least = if price < least.0 { (price, index) } else { *least };
            }
        }
    }
    for (position, (_, index)) in left.into_iter().zip(least) {
        set(owners, position, index);
    }
}

fn set(owners: &mut [u16], position: u32, index: u16) {
    if let Some(owner) = owners.get_mut(position as usize) {
        *owner = index;
    }
}
