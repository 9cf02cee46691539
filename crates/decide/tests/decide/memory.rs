//! Tables in plain memory.

use std::{cell::Cell, collections::BTreeSet};

use etm_abi::Target;
use etm_decide::Tables;

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

    fn word(&self, index: u32) -> Option<u64> {
        let pair = |at| self.slots.get((index * 2 + at) as usize).copied();
        Some(u64::from(pair(0)?) | u64::from(pair(1).unwrap_or_default()) << 32)
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
