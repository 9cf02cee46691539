//! The words of a route, as they lie in `ROUTES`.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

use etm_abi::{
    Class, FRONTEND_ROUTED, Frontend, LINE_CALLERS, LINE_WORDS, MAX_CLASSES, MAX_PARTS, PART_WORDS,
    RouteHeader, Target,
};

use crate::route::CallerNumber;

/// What a frontend's callers get, by where it lies in the maps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteTable {
    /// What there is to get. The first one is that of callers who are not in `callers`.
    pub classes: Vec<RouteShares>,
    /// Callers that get another one than the first: its index.
    pub callers: BTreeMap<CallerNumber, u8>,
}

/// What some callers get: shares of weight of what targets lead to, together all; none is refused.
pub type RouteShares = Vec<(u32, Target)>;

impl RouteTable {
    /// Lines of callers' classes.
    #[must_use]
    pub fn lines(&self) -> u32 {
        let end = self.callers.last_key_value().map_or(0, |(number, _)| u32::from(*number) + 1);
        end.div_ceil(LINE_CALLERS)
    }

    /// Its words, whole lines of them.
    #[must_use]
    pub fn words(&self) -> Arc<[u64]> {
        let mut words = vec![0; (self.lines() * LINE_WORDS) as usize];
        for (number, class) in &self.callers {
            if let Some(word) = words.get_mut(usize::from(number / 8)) {
                *word |= u64::from(*class) << (number % 8 * 8);
            }
        }
        let parts = || self.classes.iter().filter(|shares| shares.len() > 1);
        let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let (classes, all) = (count(self.classes.len()), count(parts().map(Vec::len).sum()));
        words.push(RouteHeader::new(classes, all).0);
        let mut first = 1 + classes;
        for shares in &self.classes {
            words.push(match shares.as_slice() {
                [] => Class::DENIED.0,
                [(_, target)] => Class::of(*target).0,
                several => {
                    let class = Class::divided(first, count(several.len()));
                    first += count(several.len()) * PART_WORDS;
                    class.0
                }
            });
        }
        words.extend(parts().flat_map(reaches).flatten());
        words.resize(words.len().next_multiple_of(LINE_WORDS as usize), 0);
        words.into()
    }

    /// Reads the words of a route back, given its first one and how many lines of callers it has;
    /// none where it is not whole, or etm never writes its like.
    #[must_use]
    pub fn read(first: u32, lines: u32, word: impl Fn(u32) -> Option<u64>) -> Option<Self> {
        let header_at = first.checked_add(lines.checked_mul(LINE_WORDS)?)?;
        let header = RouteHeader(word(header_at)?);
        let most = MAX_CLASSES * MAX_PARTS;
        if header.classes() == 0 || header.classes() > MAX_CLASSES || header.parts() > most {
            return None;
        }
        let mut classes = Vec::new();
        for number in 0..header.classes() {
            let class = Class(word(header_at.checked_add(1 + number)?)?);
            classes.push(shares(class, header_at, header, &word)?);
        }
        let mut callers = BTreeMap::new();
        for at in 0..lines * LINE_WORDS {
            let bytes = word(first.checked_add(at)?)?.to_le_bytes();
            for (byte, class) in (0..).zip(bytes).filter(|(_, class)| *class != 0) {
                if u32::from(class) >= header.classes() {
                    return None;
                }
                callers.insert(CallerNumber::try_from(at * 8 + byte).ok()?, class);
            }
        }
        Some(Self { classes, callers })
    }

    /// The route of a frontend that has one; none where it is not whole.
    #[must_use]
    pub fn of(frontend: &Frontend, word: impl Fn(u32) -> Option<u64>) -> Option<Self> {
        if frontend.flags & FRONTEND_ROUTED == 0 {
            return None;
        }
        Self::read(frontend.table.checked_mul(LINE_WORDS)?, frontend.members, word)
    }

    /// The routes of those frontends that have one, by first line.
    pub fn of_all<'a>(
        frontends: impl IntoIterator<Item = &'a Frontend>,
        word: impl Fn(u32) -> Option<u64>,
    ) -> BTreeMap<u32, Self> {
        let mut read = BTreeMap::new();
        for frontend in frontends {
            if let Entry::Vacant(vacant) = read.entry(frontend.table)
                && let Some(route) = Self::of(frontend, &word)
            {
                vacant.insert(route);
            }
        }
        read
    }

    /// What its classes lead to.
    pub fn targets(&self) -> impl Iterator<Item = Target> {
        self.classes.iter().flatten().map(|(_, target)| *target)
    }
}

/// Every table that frontends lead to, by themselves or through their routes.
pub fn led_to<'a>(
    frontends: impl IntoIterator<Item = &'a Frontend>,
    routes: &BTreeMap<u32, RouteTable>,
) -> Vec<Target> {
    let direct =
        |frontend: &Frontend| (frontend.flags & FRONTEND_ROUTED == 0).then(|| frontend.target());
    let frontends = frontends.into_iter().filter_map(direct);
    frontends.chain(routes.values().flat_map(RouteTable::targets)).collect()
}

/// The words of parts: up to where of 2^32 the share of each reaches, and its target.
fn reaches(shares: &RouteShares) -> impl Iterator<Item = [u64; 2]> {
    let total: u64 = shares.iter().map(|(weight, _)| u64::from(*weight)).sum();
    let mut sum = 0;
    shares.iter().map(move |(weight, target)| {
        sum += u64::from(*weight);
        let end = (u128::from(sum) << 32) / u128::from(total.max(1));
        [u64::try_from(end).unwrap_or(u64::MAX).saturating_sub(1), target.0]
    })
}

/// What a class leads to. Weights are out of 2^32 less one.
fn shares(
    class: Class,
    header_at: u32,
    header: RouteHeader,
    word: impl Fn(u32) -> Option<u64>,
) -> Option<RouteShares> {
    if let Some(target) = class.whole() {
        return Some(vec![(1, target)]);
    }
    let (first, parts) = class.parts();
    let end = u64::from(first) + u64::from(parts) * u64::from(PART_WORDS);
    if parts > MAX_PARTS || end > header.words() {
        return None;
    }
    let mut before = 0;
    let shares = (0..parts).map(|part| {
        let at = header_at.checked_add(first + part * PART_WORDS)?;
        let (reach, target) = (word(at)? + 1, Target(word(at + 1)?));
        let weight = u32::try_from(reach.checked_sub(before)?.min(u64::from(u32::MAX))).ok()?;
        before = reach;
        target.is_some().then_some((weight, target))
    });
    shares.collect()
}
