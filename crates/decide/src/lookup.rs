use etm_abi::PROBES;

/// What a cell of `SERVICES4` or `SERVICES6` is to a look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell<T> {
    /// It has never had a key, so the key looked for is not behind it.
    Empty,
    /// It has another key.
    Other,
    /// It has the key.
    Match(T),
}

/// Looks a key up: `visit` is given the indices of the cells in which it may be, from that of its
/// hash on; none where no cell has it.
#[inline(always)]
#[must_use]
pub fn lookup<T>(hash: u32, mask: u32, visit: impl Fn(u32) -> Cell<T>) -> Option<T> {
    match visit(hash & mask) {
        Cell::Match(found) => Some(found),
        Cell::Empty => None,
        Cell::Other => lookup_behind(hash, mask, visit),
    }
}

/// Goes on behind the first cell, which in a table as sparse as most are is seldom needed; apart,
/// so that the verifier follows the loop alone and not what comes after it in each of its rounds.
#[cold]
#[inline(never)]
fn lookup_behind<T>(hash: u32, mask: u32, visit: impl Fn(u32) -> Cell<T>) -> Option<T> {
    let mut step = 1;
    while step < PROBES {
        match visit(hash.wrapping_add(step) & mask) {
            Cell::Match(found) => return Some(found),
            Cell::Empty => return None,
            Cell::Other => step += 1,
        }
    }
    None
}
