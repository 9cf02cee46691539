//! Cells of frontends, written one word at a time beside programs that read them: see
//! `etm_abi::cell` for the order, of which every store here is a part.

use std::{
    sync::atomic::{
        AtomicU64,
        Ordering::{Acquire, Release},
    },
    time::Instant,
};

use etm_abi::{Frontend, Owner, PROBES, Target};
use etm_decide::{Cell, lookup};

use super::resting::Resting;
use crate::maps::Mapped;

/// An array of cells, each a row of words: `KEY` of the key, the target, two of the owner.
pub(super) trait Memory {
    /// Number of cells, a power of two.
    fn len(&self) -> u32;

    /// The words of a cell; none outside of the array.
    fn words(&self, index: u32) -> Option<&[AtomicU64]>;
}

impl<T: etm_abi::Pod> Memory for Mapped<T> {
    fn len(&self) -> u32 {
        Self::len(self)
    }

    fn words(&self, index: u32) -> Option<&[AtomicU64]> {
        Self::words(self, index)
    }
}

/// The last word of a key that is being written; no key's own.
const BUSY: u64 = u64::MAX;

/// The cells of one family, whose one writer this is.
pub(super) struct Cells<M, const KEY: usize> {
    memory: M,
    /// None until the first change: whoever only reads has no need of it.
    resting: Option<Resting>,
}

impl<M: Memory, const KEY: usize> Cells<M, KEY> {
    pub(super) const fn new(memory: M) -> Self {
        Self { memory, resting: None }
    }

    #[cfg(test)]
    pub(super) const fn memory(&self) -> &M {
        &self.memory
    }

    /// Whether no cell has ever had a frontend.
    pub(super) fn is_unused(&self) -> bool {
        (0..self.memory.len()).all(|index| self.is_empty(index))
    }

    /// Writes a frontend; `false` where every cell in which it could be is taken.
    pub(super) fn set(
        &mut self,
        hash: u32,
        key: [u64; KEY],
        value: &Frontend,
        now: Instant,
    ) -> bool {
        self.tidy(now);
        let (target, owner) = (value.target().0, owner_words(value.owner()));
        if let Some(index) = self.find(hash, key) {
            let there = self.target(index) != Target::NONE;
            if there {
                self.store(index, KEY, target);
            }
            self.store(index, KEY + 1, owner[0]);
            self.store(index, KEY + 2, owner[1]);
            if !there {
                self.store(index, KEY, target);
                self.resting(now).wake(index);
            }
            return true;
        }
        let Some(index) = self.free(hash, now) else { return false };
        self.store(index, KEY + 1, owner[0]);
        self.store(index, KEY + 2, owner[1]);
        if KEY > 1 && self.load(index, KEY - 1) != 0 {
            self.store(index, KEY - 1, BUSY);
        }
        for (word, value) in key.into_iter().enumerate() {
            self.store(index, word, value);
        }
        self.store(index, KEY, target);
        true
    }

    /// Removes a frontend; its cell keeps the key for a while.
    pub(super) fn remove(&mut self, hash: u32, key: [u64; KEY], now: Instant) {
        self.tidy(now);
        if let Some(index) = self.find(hash, key)
            && self.target(index) != Target::NONE
        {
            self.store(index, KEY, Target::NONE.0);
            self.resting(now).rest(index, now);
        }
    }

    pub(super) fn get(&self, hash: u32, key: [u64; KEY]) -> Option<Frontend> {
        self.frontend(self.find(hash, key)?)
    }

    /// Every frontend with its key.
    pub(super) fn all(&self) -> impl Iterator<Item = ([u64; KEY], Frontend)> {
        (0..self.memory.len()).filter_map(|index| Some((self.key(index), self.frontend(index)?)))
    }

    fn frontend(&self, index: u32) -> Option<Frontend> {
        let target = self.target(index);
        let [low, high] = [self.load(index, KEY + 1), self.load(index, KEY + 2)];
        Frontend::of(target, owner(low, high))
    }

    /// The cell that has a key, with or without a frontend.
    fn find(&self, hash: u32, key: [u64; KEY]) -> Option<u32> {
        lookup(hash, self.mask(), |index| {
            if self.load(index, KEY - 1) == 0 {
                Cell::Empty
            } else if self.key(index) == key {
                Cell::Match(index)
            } else {
                Cell::Other
            }
        })
    }

    /// The first cell that a new key may have.
    fn free(&mut self, hash: u32, now: Instant) -> Option<u32> {
        let mask = self.mask();
        let mut places = (0..PROBES).map(|step| hash.wrapping_add(step) & mask);
        places.find(|index| {
            self.is_empty(*index)
                || (self.target(*index) == Target::NONE && !self.resting(now).is_resting(*index))
        })
    }

    /// Empties cells that have rested for long enough and that no look-up needs to go past.
    fn tidy(&mut self, now: Instant) {
        while let Some(rested) = self.resting(now).rested(now) {
            let mut index = rested;
            while self.target(index) == Target::NONE
                && !self.is_empty(index)
                && !self.resting(now).is_resting(index)
                && self.is_empty(self.beside(index, 1))
            {
                self.store(index, KEY - 1, 0);
                index = self.beside(index, u32::MAX);
            }
        }
    }

    /// What rests; at first every cell without a frontend, since nobody knows for how long.
    fn resting(&mut self, now: Instant) -> &mut Resting {
        if self.resting.is_none() {
            let mut resting = Resting::default();
            for index in 0..self.memory.len() {
                if !self.is_empty(index) && self.target(index) == Target::NONE {
                    resting.rest(index, now);
                }
            }
            self.resting = Some(resting);
        }
        self.resting.get_or_insert_default()
    }

    fn is_empty(&self, index: u32) -> bool {
        self.load(index, KEY - 1) == 0
    }

    fn beside(&self, index: u32, offset: u32) -> u32 {
        index.wrapping_add(offset) & self.mask()
    }

    fn mask(&self) -> u32 {
        self.memory.len().wrapping_sub(1)
    }

    fn key(&self, index: u32) -> [u64; KEY] {
        std::array::from_fn(|word| self.load(index, word))
    }

    fn target(&self, index: u32) -> Target {
        Target(self.load(index, KEY))
    }

    fn word(&self, index: u32, word: usize) -> Option<&AtomicU64> {
        self.memory.words(index)?.get(word)
    }

    fn load(&self, index: u32, word: usize) -> u64 {
        self.word(index, word).map_or(0, |word| word.load(Acquire))
    }

    fn store(&mut self, index: u32, word: usize, value: u64) {
        if let Some(word) = self.word(index, word) {
            word.store(value, Release);
        }
    }
}

/// The words of [`Owner`].
fn owner_words(owner: Owner) -> [u64; 2] {
    let service = u64::from(owner.service) | u64::from(owner.generation) << 32;
    [service, u64::from(owner.errno)]
}

const fn owner(low: u64, high: u64) -> Owner {
    Owner { service: low as u32, generation: (low >> 32) as u32, errno: high as u16, pad: [0; 3] }
}
