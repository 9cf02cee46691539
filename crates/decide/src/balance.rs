//! The choice from a table whose members are not chosen evenly at random.

use etm_abi::{
    BALANCING_WORDS, Balancing, Candidate, GROUP, POSITION_BITS, POSITIONS, Target, WEIGHTED_GROUP,
};

use crate::{Tables, pick::scale, random::rehash, rendezvous::Offer};

/// How the members of a table that has [`etm_abi::FRONTEND_BALANCED`] are chosen.
#[inline(always)]
#[must_use]
pub fn balancing<T: Tables>(tables: &T, target: Target) -> Option<Balancing> {
    let first = (target.table() >> 1).wrapping_sub(BALANCING_WORDS);
    let word = |at: u32| tables.word(first.wrapping_add(at));
    Some(Balancing::of([word(0)?, word(1)?, word(2)?, word(3)?]))
}

/// A position at random.
#[inline(always)]
#[must_use]
pub const fn random_position(random: u32) -> u32 {
    random >> (u32::BITS - POSITION_BITS)
}

/// Chooses the best usable member for a position; none where no member is usable.
///
/// Where the best one is out, the next best has the position until it is back: the same one that
/// would have it if the first were no member at all.
#[inline(always)]
#[must_use]
pub fn at<T: Tables>(
    tables: &T,
    target: Target,
    balancing: &Balancing,
    position: u32,
) -> Option<u32> {
    let best = best(tables, target, balancing, position)?;
    if tables.available(best).is_some() {
        return Some(best);
    }
    best_usable(tables, target, balancing.weighted != 0, position)
}

/// Chooses the less loaded of two members that are drawn at random, where they have weights for
/// its weight; where only one of them is usable that one, and none where neither is.
#[inline(always)]
#[must_use]
pub fn least_connections<T: Tables>(tables: &T, target: Target, random: u32) -> Option<u32> {
    let members = target.members();
    if members == 0 {
        return None;
    }
    let first = scale(random, members);
    // Another one: so many steps behind the first, around the end of the table.
    let second = first + 1 + scale(rehash(random), members - 1);
    let second = if second < members { second } else { second - members };
    let (a, b) = (member(tables, target, first)?, member(tables, target, second)?);
    match (tables.available(a).is_some(), tables.available(b).is_some()) {
        (true, true) => {
            // A member's load is what it would have with this connection, over its weight.
            let load = |id, member| {
                let inverse = candidate(tables, target, member)?.inverse_weight();
                Some((tables.connections(id) as u64 + 1).wrapping_mul(inverse))
            };
            Some(if load(b, second)? < load(a, first)? { b } else { a })
        }
        (true, false) => Some(a),
        (false, true) => Some(b),
        (false, false) => None,
    }
}

/// The backend of a member.
#[inline(always)]
fn member<T: Tables>(tables: &T, target: Target, member: u32) -> Option<u32> {
    tables.slot(target.table().wrapping_add(member))
}

/// A member as rendezvous hashing knows it.
#[inline(always)]
fn candidate<T: Tables>(tables: &T, target: Target, member: u32) -> Option<Candidate> {
    let ids = target.members().div_ceil(2);
    tables.word((target.table() >> 1).wrapping_add(ids).wrapping_add(member)).map(Candidate)
}

/// The backend that has a position while every member is usable.
#[inline(always)]
#[must_use]
pub fn best<T: Tables>(
    tables: &T,
    target: Target,
    balancing: &Balancing,
    position: u32,
) -> Option<u32> {
    let Group { first, bits, few } = Group::of(tables, target, balancing, position)?;
    if few {
        return best_of_few(tables, target, balancing, position);
    }
    best_of_many(tables, target, first | bits << 16 | (balancing.weighted as u32) << 24, position)
}

/// The members that are compared for a position: one in `1 << bits` from the first one on.
struct Group {
    first: u32,
    bits: u32,
    /// They are so few that a loop of some rounds sees them all.
    few: bool,
}

impl Group {
    #[inline(always)]
    fn of<T: Tables>(
        tables: &T,
        target: Target,
        balancing: &Balancing,
        position: u32,
    ) -> Option<Self> {
        let bits = balancing.shortlist_bits as u32 & 15;
        let mut first = 0;
        if bits != 0 {
            first = entry(tables, balancing, bits, position & (POSITIONS - 1))?;
        }
        let most = if balancing.weighted != 0 { WEIGHTED_GROUP } else { GROUP };
        let few = target.members().saturating_sub(first) <= most << bits;
        Some(Self { first, bits, few })
    }
}

/// As [`best`], but none where more members would have to be compared than is usual: in tables of
/// more than 2,048 members, or with weights 1,024.
#[inline(always)]
#[must_use]
pub fn best_of_few<T: Tables>(
    tables: &T,
    target: Target,
    balancing: &Balancing,
    position: u32,
) -> Option<u32> {
    let Group { first, bits, few } = Group::of(tables, target, balancing, position)?;
    let members = target.members();
    if !few || first >= members {
        return None;
    }
    if first + (1 << bits) >= members {
        return member(tables, target, first);
    }
    // Two loops in the end, since the verifier follows each round in each way that it can go.
    let number = if balancing.weighted != 0 {
        compare::<T, true>(tables, target, first, bits, position)?
    } else {
        compare::<T, false>(tables, target, first, bits, position)?
    };
    member(tables, target, number)
}

/// The member with the best offer of one in `1 << bits` from `first` on, of as many as a group has.
#[inline(always)]
fn compare<T: Tables, const WEIGHTED: bool>(
    tables: &T,
    target: Target,
    first: u32,
    bits: u32,
    position: u32,
) -> Option<u32> {
    let rounds = if WEIGHTED { WEIGHTED_GROUP } else { GROUP };
    let mut best = Best::at(first);
    let (mut number, mut round) = (first, 0);
    while round < rounds && number < target.members() {
        let candidate = candidate(tables, target, number)?;
        best.consider(Offer::of(candidate, position, WEIGHTED), number);
        number += 1 << bits;
        round += 1;
    }
    Some(best.number)
}

/// The best of a group that is too large for the rounds of [`best_of_few`]: its first member, bits
/// of the shortlist, and whether weights count, in one word.
#[cold]
#[inline(never)]
fn best_of_many<T: Tables>(tables: &T, target: Target, group: u32, position: u32) -> Option<u32> {
    let (first, bits, weighted) = (group & 0xffff, group >> 16 & 15, group >> 24 != 0);
    let mut best = Best::at(first);
    let rounds = target.members().saturating_sub(first).div_ceil(1 << bits);
    tables.search(rounds, |round| {
        let number = first + (round << bits);
        let candidate = candidate(tables, target, number)?;
        best.consider(Offer::of(candidate, position, weighted), number);
        None
    });
    member(tables, target, best.number)
}

/// The best of all members that are usable.
#[cold]
#[inline(never)]
fn best_usable<T: Tables>(
    tables: &T,
    target: Target,
    weighted: bool,
    position: u32,
) -> Option<u32> {
    let mut best = Best::at(u32::MAX);
    tables.search(target.members(), |number| {
        let backend = member(tables, target, number)?;
        if tables.available(backend).is_some() {
            let candidate = candidate(tables, target, number)?;
            best.consider(Offer::of(candidate, position, weighted), number);
        }
        None
    });
    if best.number == u32::MAX { None } else { member(tables, target, best.number) }
}

/// The member with the best offer so far.
struct Best {
    offer: Option<Offer>,
    number: u32,
}

impl Best {
    #[inline(always)]
    const fn at(number: u32) -> Self {
        Self { offer: None, number }
    }

    #[inline(always)]
    fn consider(&mut self, offer: Offer, number: u32) {
        if self.offer.is_none_or(|best| offer < best) {
            *self = Self { offer: Some(offer), number };
        }
    }
}

/// The entry of a shortlist: the first member of a group.
#[inline(always)]
fn entry<T: Tables>(tables: &T, balancing: &Balancing, bits: u32, position: u32) -> Option<u32> {
    let bit = position * bits;
    let word = tables.word(balancing.shortlist.wrapping_add(bit >> 6))?;
    Some((word >> (bit & 63)) as u32 & ((1 << bits) - 1))
}
