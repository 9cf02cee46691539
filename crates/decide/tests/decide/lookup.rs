//! A look-up finds each key that a writer can place, and no other.

use std::{cell::Cell as Count, collections::BTreeSet};

use etm_abi::{PROBES, PROTOCOL_TCP, ServiceKey4, ServiceKey6, cells, mapped};
use etm_decide::{Cell, lookup};
use proptest::{collection::btree_set, prelude::*};

/// Keys by cell, each in the first free one.
struct Cells {
    keys: Vec<Option<u64>>,
    visits: Count<u32>,
}

impl Cells {
    fn new(frontends: u32) -> Self {
        Self { keys: vec![None; cells(frontends) as usize], visits: Count::new(0) }
    }

    fn mask(&self) -> u32 {
        u32::try_from(self.keys.len() - 1).unwrap_or(u32::MAX)
    }

    /// Whether there was a free cell.
    fn insert(&mut self, hash: u32, key: u64) -> bool {
        let mask = self.mask();
        let free = (0..PROBES)
            .map(|step| (hash.wrapping_add(step) & mask) as usize)
            .find(|index| self.keys[*index].is_none());
        if let Some(index) = free {
            self.keys[index] = Some(key);
        }
        free.is_some()
    }

    fn find(&self, hash: u32, key: u64) -> Option<u32> {
        self.visits.set(0);
        lookup(hash, self.mask(), |index| {
            self.visits.set(self.visits.get() + 1);
            match self.keys.get(index as usize).copied().flatten() {
                None => Cell::Empty,
                Some(found) if found == key => Cell::Match(index),
                Some(_) => Cell::Other,
            }
        })
    }
}

proptest! {
    #[test]
    fn every_key_placed_is_found_and_no_other(
        // Few hashes, so that keys crowd.
        placed in btree_set((0..3_u32, any::<u64>()), 0..60),
        absent in btree_set((0..3_u32, any::<u64>()), 0..20),
    ) {
        let mut cells = Cells::new(100);
        for (hash, key) in &placed {
            prop_assert!(cells.insert(hash.wrapping_sub(1), *key));
        }
        for (hash, key) in &placed {
            prop_assert!(cells.find(hash.wrapping_sub(1), *key).is_some());
        }
        let keys: BTreeSet<_> = placed.iter().map(|(_, key)| *key).collect();
        for (hash, key) in absent.iter().filter(|(_, key)| !keys.contains(key)) {
            prop_assert_eq!(cells.find(hash.wrapping_sub(1), *key), None);
        }
    }

    #[test]
    fn a_table_without_an_empty_cell_ends(hash in any::<u32>()) {
        let mut cells = Cells::new(1);
        cells.keys.fill(Some(1));
        prop_assert_eq!(cells.find(hash, 2), None);
        prop_assert_eq!(cells.visits.get(), PROBES);
    }
}

/// Addresses as clusters give them out: in a row, several ports each.
fn rows(count: u32) -> impl Iterator<Item = (u32, u16)> {
    (0..count).map(|index| {
        let address = (0x0a60_0000 + index / 3).to_be();
        (address, [80_u16, 443, 9_090][index as usize % 3].to_be())
    })
}

fn longest(limit: u32, keys: impl Iterator<Item = (u32, u64)>) -> (u32, f64) {
    let mut cells = Cells::new(limit);
    let keys: Vec<_> = keys.collect();
    for (hash, key) in &keys {
        assert!(cells.insert(*hash, *key), "no cell within {PROBES}");
    }
    let visits = keys.iter().map(|(hash, key)| {
        assert!(cells.find(*hash, *key).is_some());
        cells.visits.get()
    });
    let visits: Vec<_> = visits.collect();
    let mean = f64::from(visits.iter().sum::<u32>()) / visits.len() as f64;
    (visits.into_iter().max().unwrap_or_default(), mean)
}

#[test]
fn a_full_table_is_searched_in_few_steps() {
    let limit = 65_536;
    let v4 = rows(limit).map(|(address, port)| {
        let key = ServiceKey4::new(address, port, PROTOCOL_TCP);
        (key.hash(), key.0[0])
    });
    let v6 = rows(limit).map(|(address, port)| {
        let mut words = mapped(address);
        words[0] = 0xfd00_u32.to_be();
        let key = ServiceKey6::new(&words, port, PROTOCOL_TCP);
        (key.hash(), key.0[1] ^ key.0[2] << 32)
    });
    for (name, (most, mean)) in [("IPv4", longest(limit, v4)), ("IPv6", longest(limit, v6))] {
        // Knuth: 1.5 on average where half of the cells are taken.
        assert!(mean < 1.6, "{name}: {mean} on average");
        assert!(most < PROBES / 2, "{name}: {most} at most");
    }
}

#[test]
fn a_key_gives_back_what_it_was_made_of() {
    let key = ServiceKey4::new(0x0102_0304, 0x5678, 17);
    assert_eq!(key.parts(), (0x0102_0304, 0x5678, 17));
    let address = [1, 2, 3, u32::MAX];
    assert_eq!(ServiceKey6::new(&address, 0xffff, 6).parts(), (address, 0xffff, 6));
    assert_ne!(ServiceKey4::new(0, 0, 0).0, [0], "zero marks an empty cell");
    assert_ne!(ServiceKey6::new(&[0; 4], 0, 0).0[2], 0, "zero marks an empty cell");
}
