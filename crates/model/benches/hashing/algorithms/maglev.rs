//! Maglev hashing (Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer",
//! NSDI 2016, section 3.4).
//!
//! Weighted as Envoy does it (`source/extensions/load_balancing_policies/maglev/maglev_lb.cc`): a
//! backend takes its turn in as many of the rounds as its weight is of the largest weight.

use super::{Table, index, mix};
use crate::backends::Backend;

/// A prime; the paper's own choice, and the usual one.
const ENTRIES: u64 = 65_537;
const NOBODY: u16 = u16::MAX;

struct Maglev(Vec<u16>);

/// Where a backend is in its permutation of the entries, and when it has its next turn.
struct Turn {
    at: u64,
    skip: u64,
    weight: u64,
    due: u64,
}

/// Backends in turns take the next entry of their permutation that is free.
pub(super) fn build(backends: &[Backend]) -> Box<dyn Table> {
    let most = backends.iter().map(|backend| u64::from(backend.weight)).max().unwrap_or(1);
    let turn = |backend: &Backend| Turn {
        at: mix(backend.id) % ENTRIES,
        skip: mix(!backend.id) % (ENTRIES - 1) + 1,
        weight: backend.weight.into(),
        due: 0,
    };
    let mut turns: Vec<_> = backends.iter().map(turn).collect();
    let mut entries = vec![NOBODY; ENTRIES as usize];
    let mut free = if backends.is_empty() { 0 } else { ENTRIES };
    for round in 1.. {
        if free == 0 {
            break;
        }
        for (number, turn) in turns.iter_mut().enumerate() {
            if free == 0 || round * turn.weight < turn.due {
                continue;
            }
            turn.due += most;
            while let Some(entry) = entries.get_mut(turn.at as usize) {
                turn.at += turn.skip;
                if turn.at >= ENTRIES {
                    turn.at -= ENTRIES;
                }
                if *entry == NOBODY {
                    *entry = index(number);
                    free -= 1;
                    break;
                }
            }
        }
    }
    Box::new(Maglev(entries))
}

impl Table for Maglev {
    fn look_up(&self, key: u64) -> u16 {
        self.0.get((key % ENTRIES) as usize).copied().unwrap_or(NOBODY)
    }

    fn owners(&self) -> Vec<u16> {
        self.0.clone()
    }

    fn bytes(&self) -> usize {
        size_of_val(self.0.as_slice())
    }
}
