//! The choice from a table whose members are not chosen evenly at random.

use core::borrow::Borrow as _;

use etm_abi::{
    Balancing, Candidate, GROUP, LINE_SLOTS, LINE_WORDS, POSITION_BITS, POSITIONS, SMALL_GROUP,
    Target,
};

use crate::{Line, Tables, pick::scale, random::rehash, rendezvous::Offer};

/// How the members of a table that has [`etm_abi::FRONTEND_BALANCED`] are chosen.
#[inline(always)]
#[must_use]
pub fn balancing<T: Tables>(tables: &T, target: Target) -> Option<Balancing> {
    let line = tables.line(target.table() / LINE_SLOTS)?;
    let words: &Line = line.borrow();
    Some(Balancing::of([words[0], words[1], words[2], words[3]]))
}

/// A position at random.
#[inline(always)]
#[must_use]
pub const fn random_position(random: u32) -> u32 {
    random >> (u32::BITS - POSITION_BITS)
}

/// Chooses the best usable member for a position; none where no member is usable.
#[inline(always)]
#[must_use]
pub fn at<T: Tables>(
    tables: &T,
    target: Target,
    balancing: &Balancing,
    position: u32,
) -> Option<u32> {
    match best_of_few(tables, target, balancing, position) {
        Some(best) if tables.available(best).is_some() => Some(best),
        _ => at_length(tables, target, balancing, position),
    }
}

/// As [`at`], where [`best_of_few`] gives none, or one that is out.
///
/// Where the best one is out, the next best has the position until it is back: the same one that
/// would have it if the first were no member at all.
#[inline(always)]
#[must_use]
pub fn at_length<T: Tables>(
    tables: &T,
    target: Target,
    balancing: &Balancing,
    position: u32,
) -> Option<u32> {
    if !is_few(balancing) {
        let best = best_of_many(tables, target, balancing, position)?;
        if tables.available(best).is_some() {
            return Some(best);
        }
    }
    best_among(tables, target, Among::usable(target, balancing), position)
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
    let first = candidates(target).wrapping_mul(LINE_WORDS);
    tables.word(first.wrapping_add(member)).map(Candidate)
}

/// The line in which a table's candidates begin.
#[inline(always)]
const fn candidates(target: Target) -> u32 {
    (target.table() / LINE_SLOTS).wrapping_add(Balancing::candidates_line(target.members()))
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
    if is_few(balancing) {
        return best_of_few(tables, target, balancing, position);
    }
    best_of_many(tables, target, balancing, position)
}

/// Whether groups are so small that their members are compared at once.
#[inline(always)]
fn is_few(balancing: &Balancing) -> bool {
    let most = if balancing.weighted != 0 { SMALL_GROUP } else { GROUP };
    balancing.group_bits as u32 <= most.ilog2()
}

/// The first member of the group that has the best one for a position.
#[inline(always)]
fn first<T: Tables>(tables: &T, balancing: &Balancing, position: u32) -> Option<u32> {
    let bits = balancing.shortlist_bits as u32 & 15;
    if bits == 0 {
        return Some(0);
    }
    let bit = (position & (POSITIONS - 1)) * bits;
    let word = tables.word(balancing.shortlist.wrapping_add(bit >> 6))?;
    let group = (word >> (bit & 63)) as u32 & ((1 << bits) - 1);
    Some(group << (balancing.group_bits & 31))
}

/// As [`best`], but none where more members would have to be compared than is done at once: in
/// tables of more than 2,048 members, or with weights 1,024.
///
/// Without a branch that depends on the position, since nothing could foresee it.
#[inline(always)]
#[must_use]
pub fn best_of_few<T: Tables>(
    tables: &T,
    target: Target,
    balancing: &Balancing,
    position: u32,
) -> Option<u32> {
    if !is_few(balancing) {
        return None;
    }
    let first = first(tables, balancing, position)?;
    let number = match balancing.group_bits {
        0 => 0,
        _ => best_of_group(tables, target, balancing, first, position)?,
    };
    member(tables, target, first + number)
}

/// The number in its group of the one that is best for a position.
#[inline(always)]
fn best_of_group<T: Tables>(
    tables: &T,
    target: Target,
    balancing: &Balancing,
    first: u32,
    position: u32,
) -> Option<u32> {
    let line = tables.line(candidates(target).wrapping_add(first / LINE_WORDS))?;
    let line: &Line = line.borrow();
    Some(match (balancing.group_bits, balancing.weighted) {
        (1, 0) => least::<T, 2, false>(line, first, position),
        (2, 0) => least::<T, 4, false>(line, first, position),
        (_, 0) => least::<T, 8, false>(line, first, position),
        (1, _) => least::<T, 2, true>(line, first, position),
        (_, _) => least::<T, 4, true>(line, first, position),
    })
}

/// Which of the candidates of the group that begins with one has the best offer.
#[inline(always)]
fn least<T: Tables, const MEMBERS: usize, const WEIGHTED: bool>(
    line: &Line,
    first: u32,
    position: u32,
) -> u32 {
    let (groups, _) = line.as_chunks::<MEMBERS>();
    let group = &groups[first as usize / MEMBERS % (LINE_WORDS as usize / MEMBERS)];
    let offer = |number: usize| {
        Offer::numbered(Candidate(group[number]), position, WEIGHTED, number as u32)
    };
    let (mut least, mut number) = (offer(0), 1);
    while number < MEMBERS {
        least = T::lesser(least, offer(number));
        number += 1;
    }
    least as u32 & (GROUP - 1)
}

/// The best of a group that is in more than one line.
#[inline(always)]
fn best_of_many<T: Tables>(
    tables: &T,
    target: Target,
    balancing: &Balancing,
    position: u32,
) -> Option<u32> {
    let first = first(tables, balancing, position)?;
    best_among(tables, target, Among::group(target, balancing, first), position)
}

/// Members that are compared one after the other: the first one (16 bits), how many (16), whether
/// weights count, and whether only usable ones do. In one word, since a call of the kernel's has
/// few registers and little stack.
#[derive(Clone, Copy)]
struct Among(u64);

impl Among {
    #[inline(always)]
    const fn new(first: u32, count: u32, balancing: &Balancing, usable: bool) -> Self {
        let flags = (balancing.weighted != 0) as u64 | (usable as u64) << 1;
        Self(first as u64 & 0xffff | (count as u64 & 0xffff) << 16 | flags << 32)
    }

    /// The members of a group, usable or not.
    #[inline(always)]
    fn group(target: Target, balancing: &Balancing, first: u32) -> Self {
        let count = target.members().saturating_sub(first).min(1 << (balancing.group_bits & 15));
        Self::new(first, count, balancing, false)
    }

    /// All members that are usable.
    #[inline(always)]
    const fn usable(target: Target, balancing: &Balancing) -> Self {
        Self::new(0, target.members(), balancing, true)
    }

    #[inline(always)]
    const fn first(self) -> u32 {
        self.0 as u16 as u32
    }

    #[inline(always)]
    const fn count(self) -> u32 {
        (self.0 >> 16) as u16 as u32
    }

    #[inline(always)]
    const fn is_weighted(self) -> bool {
        self.0 & 1 << 32 != 0
    }

    #[inline(always)]
    const fn is_usable(self) -> bool {
        self.0 & 1 << 33 != 0
    }
}

/// The best of some members, however many.
#[cold]
#[inline(never)]
fn best_among<T: Tables>(tables: &T, target: Target, among: Among, position: u32) -> Option<u32> {
    let mut best = Best::at(u32::MAX);
    tables.search(among.count(), |round| {
        let number = among.first() + round;
        if !among.is_usable() || tables.available(member(tables, target, number)?).is_some() {
            let candidate = candidate(tables, target, number)?;
            best.consider(Offer::of(candidate, position, among.is_weighted()), number);
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
