use etm_abi::Frontend;

use crate::Tables;

/// Draws before the table is walked from end to end. With half of the members out, one refusal in
/// 16 would be wrong without the walk; with the walk, none is.
const DRAWS: u32 = 4;

/// Chooses a usable member of a frontend's table, evenly for an even `random`; none where no
/// member is usable.
///
/// A slot whose backend is out is drawn again by a rehash of `random`, so that the callers of one
/// lost backend spread over all others instead of falling on its neighbour.
#[inline(always)]
#[must_use]
pub fn pick<T: Tables>(tables: &T, frontend: &Frontend, random: u32) -> Option<u32> {
    if frontend.members == 0 {
        return None;
    }
    let mut draw = random;
    let mut round = 0;
    while round < DRAWS {
        let backend = tables.slot(frontend.table.wrapping_add(scale(draw, frontend.members)))?;
        if tables.available(backend) {
            return Some(backend);
        }
        draw = rehash(draw);
        round += 1;
    }
    walk(tables, frontend, scale(draw, frontend.members))
}

/// Walks the whole table once, from `start` and around.
#[inline(always)]
fn walk<T: Tables>(tables: &T, frontend: &Frontend, start: u32) -> Option<u32> {
    let (table, members) = (frontend.table, frontend.members);
    tables.search(members, |step| {
        let ahead = start.wrapping_add(step);
        let member = if ahead < members { ahead } else { ahead.wrapping_sub(members) };
        let backend = tables.slot(table.wrapping_add(member))?;
        tables.available(backend).then_some(backend)
    })
}

/// Maps an even 32-bit value onto `0..members` by multiplication instead of division (Lemire,
/// "Fast Random Integer Generation in an Interval", 2019); off by at most `members / 2^32`.
#[inline(always)]
fn scale(random: u32, members: u32) -> u32 {
    ((random as u64 * members as u64) >> 32) as u32
}

/// A bijection of 32 bits with good avalanche (the `lowbias32` constants of C. Wellons,
/// "Prospecting for Hash Functions", 2018).
#[inline(always)]
fn rehash(value: u32) -> u32 {
    let mut x = value.wrapping_add(0x9e37_79b9);
    x ^= x >> 16;
    x = x.wrapping_mul(0x7feb_352d);
    x ^= x >> 15;
    x = x.wrapping_mul(0x846c_a68b);
    x ^ (x >> 16)
}
