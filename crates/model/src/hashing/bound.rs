//! A limit to what one member has: above its share by chance, a member of many would be overloaded.

use std::collections::BinaryHeap;

use etm_abi::{Candidate, POSITIONS};

use super::offers::{Offer, Offers};

/// Up to so many members chance alone keeps each one's share within the limit, or near it where
/// weights differ, and so no position moves that need not: 32, and one that comes to these.
const UNBOUNDED: usize = 33;

/// From so many members on, everyone's positions are listed at once: many members become full, and
/// for each of them all owners would have to be gone through.
const LISTED: usize = 257;

/// How many positions a member may have for each that it should have. One in a hundred more with
/// many members, each of which has few positions.
fn limit(members: usize) -> f64 {
    if members <= 256 { 1.05 } else { 1.06 }
}

/// Takes from each member what it has above the limit, and gives it to the next best that has room:
/// deferred acceptance (Gale and Shapley, "College Admissions and the Stability of Marriage",
/// 1962), where a position prefers those that rank it better, and a member the positions that it
/// ranks better. There is one such outcome, whatever the order of the steps.
///
/// `group` is how many members make a group of those that a shortlist tells apart: a position can
/// only go to the best of a group, which is the one that the kernel finds there.
pub(super) fn bound(candidates: &[Candidate], offers: Offers, group: usize, owners: &mut [u16]) {
    if candidates.len() <= UNBOUNDED {
        return;
    }
    let mut admission = Admission::new(candidates, offers, group, owners);
    while let Some(rejected) = admission.rejected.pop() {
        admission.propose(rejected, owners);
    }
}

/// A position that a member does not take, and what it offered.
struct Rejected {
    position: u32,
    offer: Offer,
}

struct Admission<'a> {
    candidates: &'a [Candidate],
    group: usize,
    offers: Offers,
    members: Vec<Held>,
    rejected: Vec<Rejected>,
}

/// What one member has.
struct Held {
    count: usize,
    limit: usize,
    /// Its positions, the one that it ranks worst on top; known once it is full.
    positions: Option<BinaryHeap<(Offer, u32)>>,
    /// Its positions while it has room, where they are listed.
    listed: Option<Vec<u32>>,
}

impl<'a> Admission<'a> {
    fn new(candidates: &'a [Candidate], offers: Offers, group: usize, owners: &[u16]) -> Self {
        let weights: f64 = candidates.iter().map(weight).sum();
        let factor = limit(candidates.len());
        let members = candidates.iter().map(|candidate| {
            let share = f64::from(POSITIONS) * weight(candidate) / weights;
            // Rounded up for some and down for others, always the same, so that one member less
            // does not give room to all of them at once.
            let round = (candidate.seed() & 0xffff) as f64 / 65_536.0;
            let limit = (share * factor - 1.0).max(share + 0.5) + round;
            let listed = (candidates.len() >= LISTED).then(Vec::new);
            Held { count: 0, limit: limit as usize, positions: None, listed }
        });
        let mut admission =
            Self { candidates, group, offers, members: members.collect(), rejected: Vec::new() };
        for owner in owners {
            if let Some(member) = admission.members.get_mut(usize::from(*owner)) {
                member.count += 1;
            }
        }
        admission.reject_all(owners);
        admission
    }

    /// Takes from each member at once what it has above its limit.
    fn reject_all(&mut self, owners: &[u16]) {
        let full: Vec<bool> = self.members.iter().map(|one| one.count >= one.limit).collect();
        if self.candidates.len() < LISTED && !full.contains(&true) {
            return;
        }
        for (position, owner) in (0..).zip(owners) {
            let owner = usize::from(*owner);
            let full = full.get(owner) == Some(&true);
            let offer = full.then(|| self.offer(owner, position));
            let Some(member) = self.members.get_mut(owner) else { continue };
            if let Some(offer) = offer {
                member.positions.get_or_insert_default().push((offer, position));
            } else if let Some(listed) = &mut member.listed {
                listed.push(position);
            }
        }
        for member in &mut self.members {
            while member.count > member.limit {
                let Some((offer, position)) = member.positions.as_mut().and_then(BinaryHeap::pop)
                else {
                    break;
                };
                member.count -= 1;
                self.rejected.push(Rejected { position, offer });
            }
        }
    }

    /// Offers a position to the next best member.
    fn propose(&mut self, Rejected { position, offer }: Rejected, owners: &mut [u16]) {
        let Some((offer, index)) = self.next_best(position, offer) else { return };
        let held = self.held(index, owners);
        let Some(member) = self.members.get_mut(index) else { return };
        set(owners, position, index);
        member.count += 1;
        if let Some(mut positions) = held {
            positions.push((offer, position));
            if member.count > member.limit
                && let Some((offer, position)) = positions.pop()
            {
                member.count -= 1;
                self.rejected.push(Rejected { position, offer });
            }
            member.positions = Some(positions);
        } else if let Some(listed) = &mut member.listed {
            listed.push(position);
        }
    }

    /// The positions of a member that is full; none while it has room.
    fn held(&mut self, index: usize, owners: &[u16]) -> Option<BinaryHeap<(Offer, u32)>> {
        let member = self.members.get_mut(index)?;
        if member.count < member.limit {
            return None;
        }
        if let Some(positions) = member.positions.take() {
            return Some(positions);
        }
        let own = member.listed.take().unwrap_or_else(|| {
            let all = (0..).zip(owners).filter(|(_, owner)| usize::from(**owner) == index);
            all.map(|(position, _)| position).collect()
        });
        Some(own.into_iter().map(|position| (self.offer(index, position), position)).collect())
    }

    /// The best of all groups after an offer that was not taken.
    fn next_best(&self, position: u32, after: Offer) -> Option<(Offer, usize)> {
        let leaders = self.candidates.chunks(self.group).enumerate().filter_map(|(at, members)| {
            let first = at * self.group;
            let offers = members.iter().map(|one| self.offers.offer(*one, position));
            offers.zip(first..).min()
        });
        leaders.filter(|(offer, _)| *offer > after).min()
    }

    fn offer(&self, index: usize, position: u32) -> Offer {
        let candidate = self.candidates.get(index).copied().unwrap_or(Candidate(0));
        self.offers.offer(candidate, position)
    }
}

fn weight(candidate: &Candidate) -> f64 {
    1.0 / candidate.inverse_weight() as f64
}

fn set(owners: &mut [u16], position: u32, index: usize) {
    if let (Some(owner), Ok(index)) = (owners.get_mut(position as usize), u16::try_from(index)) {
        *owner = index;
    }
}
