//! What a caller gets of a frontend with a route.

use etm_abi::{Class, LINE_CALLERS, LINE_WORDS, MAX_PARTS, PART_WORDS, Target};

use crate::Tables;

/// The class of a caller's number, its parts counted from the first word of `ROUTES`; none where the
/// route is not there.
#[inline(always)]
#[must_use]
pub fn class<T: Tables>(tables: &T, route: Target, number: u32) -> Option<Class> {
    let (first, lines) = (route.table(), route.members());
    let line = number / LINE_CALLERS;
    let class = if line < lines {
        let word = first.wrapping_add(line).wrapping_mul(LINE_WORDS);
        let word = tables.route_word(word.wrapping_add(number % LINE_CALLERS / 8))?;
        (word >> (number % 8 * 8)) as u8 as u32
    } else {
        0
    };
    let header = first.wrapping_add(lines).wrapping_mul(LINE_WORDS);
    Some(Class(tables.route_word(header.wrapping_add(1 + class))?).at(header))
}

/// As [`part`] where there are two, as when a canary gets its share.
#[inline(always)]
#[must_use]
pub fn one_of_two<T: Tables>(tables: &T, class: Class, random: u32) -> Option<Target> {
    let (first, _) = class.parts();
    let ahead = random as u64 <= tables.route_word(first)?;
    let word = if ahead { first + 1 } else { first + 1 + PART_WORDS };
    Some(Target(tables.route_word(word)?))
}

/// One of a divided class's parts, by an even random number; none where it has none.
#[inline(always)]
#[must_use]
pub fn part<T: Tables>(tables: &T, class: Class, random: u32) -> Option<Target> {
    let (first, parts) = class.parts();
    let mut number = 0;
    while number < MAX_PARTS && number < parts {
        let word = first.wrapping_add(number * PART_WORDS);
        // The last one reaches to the end.
        if random as u64 <= tables.route_word(word)? || number + 1 == parts {
            return Some(Target(tables.route_word(word.wrapping_add(1))?));
        }
        number += 1;
    }
    None
}

/// Whether a backend is a member of what a class leads to, of any part of it.
#[inline(always)]
#[must_use]
pub fn has_member<T: Tables>(tables: &T, class: Class, backend: u32) -> bool {
    if let Some(target) = class.whole() {
        return is_member(tables, target, backend);
    }
    let (first, parts) = class.parts();
    let mut number = 0;
    while number < MAX_PARTS && number < parts {
        let word = first.wrapping_add(number * PART_WORDS + 1);
        if let Some(target) = tables.route_word(word)
            && is_member(tables, Target(target), backend)
        {
            return true;
        }
        number += 1;
    }
    false
}

#[inline(always)]
fn is_member<T: Tables>(tables: &T, target: Target, backend: u32) -> bool {
    let found = tables.search(target.members(), |member| {
        let id = tables.slot(target.table().wrapping_add(member))?;
        (id == backend).then_some(id)
    });
    found.is_some()
}
