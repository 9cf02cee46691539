use std::{collections::HashMap, sync::Arc};

use etm_abi::{Candidate, LINE_SLOTS};

use super::{free::FreeRanges, writes::Writes};
use crate::hashing::{Shortlist, shortlist};

/// Shortlists in `SLOTS`: tables of the same Pods, of whatever ports and families, share one.
#[derive(Clone, Debug, Default)]
pub(super) struct Shortlists {
    first: HashMap<Arc<[Candidate]>, u32>,
    entries: HashMap<u32, Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    candidates: Arc<[Candidate]>,
    words: u32,
    /// Tables that lead to it, retired ones too: they may still be walked.
    tables: u32,
}

impl Shortlists {
    /// Slots that a pool's shortlist takes up that is not there yet.
    pub(super) fn missing(&self, candidates: &[Candidate], bits: u8) -> u32 {
        if bits == 0 || self.first.contains_key(candidates) {
            return 0;
        }
        etm_abi::Balancing::shortlist_words(bits) * 2
    }

    /// The first word of a pool's shortlist, for one more table, which is written where it is not
    /// there yet; none where there is no room.
    pub(super) fn acquire(
        &mut self,
        candidates: &Arc<[Candidate]>,
        free: &mut FreeRanges,
        writes: &mut Writes,
    ) -> Option<u32> {
        if let Some(first) = self.first.get(candidates).copied() {
            self.entries.get_mut(&first)?.tables += 1;
            return Some(first);
        }
        let Shortlist { words, .. } = shortlist(candidates)?;
        let length = u32::try_from(words.len()).ok()?;
        let first = free.take(length * 2, LINE_SLOTS)? / 2;
        writes.words(first, words);
        self.insert(first, Arc::clone(candidates), length);
        Some(first)
    }

    /// Enters a shortlist that was read back, with one table that leads to it; `false` where it
    /// lies where none can, or is not that of the candidates.
    pub(super) fn adopt(
        &mut self,
        first: u32,
        candidates: &Arc<[Candidate]>,
        read: &[u64],
        free: &mut FreeRanges,
    ) -> bool {
        if let Some(entry) = self.entries.get_mut(&first) {
            if entry.candidates != *candidates {
                return false;
            }
            entry.tables += 1;
            return true;
        }
        let Some(shortlist) = shortlist(candidates) else { return false };
        let Ok(length) = u32::try_from(read.len()) else { return false };
        let Some(slot) = first.checked_mul(2) else { return false };
        if *shortlist.words != *read || !free.reserve(slot, length * 2) {
            return false;
        }
        self.insert(first, Arc::clone(candidates), length);
        true
    }

    fn insert(&mut self, first: u32, candidates: Arc<[Candidate]>, words: u32) {
        self.first.entry(Arc::clone(&candidates)).or_insert(first);
        self.entries.insert(first, Entry { candidates, words, tables: 1 });
    }

    /// One table less leads to a shortlist; its slots are free with the last one.
    pub(super) fn release(&mut self, first: u32, free: &mut FreeRanges) {
        let Some(entry) = self.entries.get_mut(&first) else { return };
        entry.tables = entry.tables.saturating_sub(1);
        if entry.tables > 0 {
            return;
        }
        if let Some(entry) = self.entries.remove(&first) {
            if self.first.get(&entry.candidates) == Some(&first) {
                self.first.remove(&entry.candidates);
            }
            free.release(first * 2, entry.words * 2);
        }
    }
}
