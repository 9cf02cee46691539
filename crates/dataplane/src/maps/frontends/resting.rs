use std::{
    collections::{HashMap, VecDeque},
    time::Instant,
};

use etm_model::GRACE;

/// Cells whose frontend is gone, until no program can still be reading them: one that found the key
/// there just before must not find another key's target.
#[derive(Debug, Default)]
pub(super) struct Resting {
    since: HashMap<u32, Instant>,
    /// The longest first; entries that [`Self::since`] says otherwise of do not count.
    queue: VecDeque<(u32, Instant)>,
}

impl Resting {
    pub(super) fn rest(&mut self, cell: u32, now: Instant) {
        self.since.insert(cell, now);
        self.queue.push_back((cell, now));
    }

    /// The cell has a frontend once more.
    pub(super) fn wake(&mut self, cell: u32) {
        self.since.remove(&cell);
    }

    pub(super) fn is_resting(&self, cell: u32) -> bool {
        self.since.contains_key(&cell)
    }

    /// A cell that has rested for long enough; each is told once.
    pub(super) fn rested(&mut self, now: Instant) -> Option<u32> {
        loop {
            let (cell, since) = *self.queue.front()?;
            if now.saturating_duration_since(since) < GRACE {
                return None;
            }
            self.queue.pop_front();
            if self.since.get(&cell) == Some(&since) {
                self.since.remove(&cell);
                return Some(cell);
            }
        }
    }
}
