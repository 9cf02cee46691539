//! What etm does: see `etm_decide::balance` and `etm_model::hashing`.

use etm_abi::{Balancing, Candidate, LINE_WORDS, POSITION_BITS, POSITIONS, Target};
use etm_decide::{Line, Tables, balance};
use etm_model::testing::HashedTable;

use super::Table;
use crate::backends::Backend;

/// `SLOTS` with one table in it: header, ids, candidates, shortlist.
struct Ours {
    lines: Vec<Line>,
    target: Target,
    balancing: Balancing,
    bytes: usize,
}

/// The table that the agent writes, with the indexes of backends for their ids.
pub(super) fn build(backends: &[Backend]) -> Box<dyn Table> {
    let candidates: Vec<_> =
        backends.iter().map(|backend| Candidate::new(backend.id, backend.weight)).collect();
    let HashedTable { words, target, balancing, shortlist } =
        HashedTable::new(&candidates, 0, u64::from);
    let lines = words.as_chunks().0.to_vec();
    Box::new(Ours { lines, target, balancing, bytes: shortlist * 8 })
}

impl Ours {
    #[inline]
    fn owner(&self, position: u32) -> u16 {
        balance::best(self, self.target, &self.balancing, position).unwrap_or(u32::MAX) as u16
    }
}

impl Table for Ours {
    fn look_up(&self, key: u64) -> u16 {
        self.owner((key >> (u64::BITS - POSITION_BITS)) as u32)
    }

    fn owners(&self) -> Vec<u16> {
        (0..POSITIONS).map(|position| self.owner(position)).collect()
    }

    fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Tables for Ours {
    type Backend = ();
    type Line = Line;

    #[inline(always)]
    fn line(&self, index: u32) -> Option<Line> {
        self.lines.get(index as usize).copied()
    }

    #[inline(always)]
    fn word(&self, index: u32) -> Option<u64> {
        let line = self.lines.get((index / LINE_WORDS) as usize)?;
        line.get((index % LINE_WORDS) as usize).copied()
    }

    fn available(&self, _backend: u32) -> Option<()> {
        Some(())
    }

    fn connections(&self, _backend: u32) -> u32 {
        0
    }

    fn search<P: FnMut(u32) -> Option<u32>>(&self, count: u32, probe: P) -> Option<u32> {
        (0..count).find_map(probe)
    }
}
