//! Tables in plain memory.

use std::{array, cell::Cell, collections::BTreeSet};

use etm_abi::{LINE_SLOTS, Target};
use etm_decide::{Line, Tables};

pub(crate) struct Memory {
    pub(crate) slots: Vec<u32>,
    pub(crate) available: BTreeSet<u32>,
    /// Steps of all searches.
    pub(crate) steps: Cell<u64>,
}

impl Memory {
    /// One table at slot `first`, and what leads to it.
    pub(crate) fn new(
        first: u32,
        members: &[u32],
        available: impl IntoIterator<Item = u32>,
    ) -> (Self, Target) {
        // What lies before belongs to others, and is available.
        let other = u32::MAX;
        let mut slots = vec![other; first as usize];
        slots.extend(members);
        slots.push(other);
        let available = available.into_iter().chain([other]).collect();
        let members = u32::try_from(members.len()).unwrap_or(u32::MAX);
        let target = Target::new(first, members, 0);
        (Self { slots, available, steps: Cell::new(0) }, target)
    }
}

impl Tables for Memory {
    type Backend = u32;
    type Line = Line;

    fn line(&self, index: u32) -> Option<Line> {
        let slots = self.slots.chunks(LINE_SLOTS as usize).nth(index as usize)?;
        let slot = |at: usize| slots.get(at).copied().map_or(0, u64::from);
        Some(array::from_fn(|at| slot(2 * at) | slot(2 * at + 1) << 32))
    }

    fn available(&self, backend: u32) -> Option<u32> {
        self.available.get(&backend).copied()
    }

    fn connections(&self, _backend: u32) -> u32 {
        0
    }

    fn search<P: FnMut(u32) -> Option<u32>>(&self, count: u32, mut probe: P) -> Option<u32> {
        (0..count).find_map(|step| {
            self.steps.set(self.steps.get() + 1);
            probe(step)
        })
    }
}
