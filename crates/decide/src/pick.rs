use etm_abi::Target;

use crate::{Tables, random::rehash};

/// Draws before the table is walked from end to end. With half of the members out, one refusal in
/// 16 would be wrong without the walk; with the walk, none is.
const DRAWS: u32 = 4;

/// Chooses a usable member of a table, evenly for an even `random`; none where no
/// member is usable.
///
/// A slot whose backend is out is drawn again by a rehash of `random`, so that the callers of one
/// lost backend spread over all others instead of falling on its neighbour.
#[inline(always)]
#[must_use]
pub fn pick<T: Tables>(tables: &T, target: Target, random: u32) -> Option<(u32, T::Backend)> {
    if target.members() == 0 {
        return None;
    }
    let first = scale(random, target.members());
    if let Some(id) = tables.slot(target.table().wrapping_add(first))
        && let Some(backend) = tables.available(id)
    {
        return Some((id, backend));
    }
    match pick_other(tables, target, random) {
        NONE => None,
        id => Some((id as u32, tables.available(id as u32)?)),
    }
}

/// What [`pick_other`] gives where no member is usable.
const NONE: u64 = u64::MAX;

/// Draws again, then walks. Apart from the first draw, which nearly always succeeds and so should
/// share its few cache lines of code with nothing; its result fits the one register in which a BPF
/// function can return one.
#[cold]
#[inline(never)]
fn pick_other<T: Tables>(tables: &T, target: Target, random: u32) -> u64 {
    let mut draw = rehash(random);
    let mut round = 1;
    while round < DRAWS {
        if let Some(backend) = usable(tables, target, scale(draw, target.members())) {
            return backend as u64;
        }
        draw = rehash(draw);
        round += 1;
    }
    walk(tables, target, draw).map_or(NONE, |backend| backend as u64)
}

/// The backend of a member, where new connections may be sent to it.
#[inline(always)]
fn usable<T: Tables>(tables: &T, target: Target, member: u32) -> Option<u32> {
    let backend = tables.slot(target.table().wrapping_add(member))?;
    tables.available(backend).map(|_| backend)
}

/// Chooses a usable member that is another than one, and that the caller may be sent to; none
/// where [`OTHER_DRAWS`] draws find none. The same seed finds the same.
#[inline(always)]
#[must_use]
pub fn pick_other_than<T: Tables>(
    tables: &T,
    target: Target,
    id: u32,
    seed: u32,
    mut admits: impl FnMut(u32) -> bool,
) -> Option<u32> {
    let mut draw = seed;
    let mut round = 0;
    while round < OTHER_DRAWS {
        if let Some(other) = usable(tables, target, scale(draw, target.members()))
            && other != id
            && admits(other)
        {
            return Some(other);
        }
        draw = rehash(draw);
        round += 1;
    }
    None
}

/// Draws for another member than one.
const OTHER_DRAWS: u32 = 8;

/// Visits every member once, in an order that `random` shuffles: from slot to slot, the member
/// behind many that are out, as when a whole zone is lost, would get the share of all of them.
#[inline(always)]
fn walk<T: Tables>(tables: &T, target: Target, random: u32) -> Option<u32> {
    let members = target.members();
    let shuffle = Shuffle::new(members, random);
    tables.search(shuffle.mask.wrapping_add(1), |step| {
        let member = shuffle.at(step);
        if member < members { usable(tables, target, member) } else { None }
    })
}

/// A bijection of `0..=mask`, the least power of two that holds a table's members, so that fewer
/// than half of its values are none of theirs.
#[derive(Clone, Copy)]
struct Shuffle {
    mask: u32,
    /// Half of the mask's bits, rounded up: moves the well-mixed upper ones onto the lower ones.
    half: u32,
    add: u32,
    /// Odd, hence invertible for any power of two. Two of them: with one for both rounds, members
    /// were measured at 1.2 times their share.
    multiply: [u32; 2],
}

impl Shuffle {
    #[inline(always)]
    fn new(members: u32, random: u32) -> Self {
        let key = rehash(random);
        let bits = u32::BITS - members.saturating_sub(1).leading_zeros();
        Self {
            mask: ((1_u64 << bits) - 1) as u32,
            half: (bits + 1) >> 1,
            add: random,
            multiply: [key | 1, key.rotate_left(16) | 1],
        }
    }

    /// Adding, multiplying by an odd number, and folding upper bits onto lower ones can each be
    /// undone within the mask, and so can their sequence.
    #[inline(always)]
    fn at(&self, step: u32) -> u32 {
        let mut x = step.wrapping_add(self.add).wrapping_mul(self.multiply[0]) & self.mask;
        x ^= x >> self.half;
        x = x.wrapping_mul(self.multiply[1]) & self.mask;
        x ^ (x >> self.half)
    }
}

/// Maps an even 32-bit value onto `0..members` by multiplication instead of division (Lemire,
/// "Fast Random Integer Generation in an Interval", 2019); off by at most `members / 2^32`.
#[inline(always)]
#[must_use]
pub(crate) const fn scale(random: u32, members: u32) -> u32 {
    ((random as u64 * members as u64) >> 32) as u32
}
