//! A table whose entries are filled by rendezvous hashing, one after the other: each takes the
//! backend that wants it most, among those that have room.
//!
//! The bound on what one has is that of "Consistent Hashing with Bounded Loads" (Mirrokni, Thorup
//! and Zadimoghaddam, SODA 2018), with the entries for their balls, in the order of the entries.

use super::{Table, mix, rendezvous::Rendezvous};
use crate::backends::Backend;

/// A prime below 2^16.
const ENTRIES: u64 = 65_521;
/// What one backend may have for each entry that it should have.
const BOUND: f64 = 1.05;

struct Slots(Vec<u16>);

pub(super) fn bounded(backends: &[Backend]) -> Box<dyn Table> {
    fill(backends, BOUND)
}

pub(super) fn unbounded(backends: &[Backend]) -> Box<dyn Table> {
    fill(backends, f64::INFINITY)
}

fn fill(backends: &[Backend], bound: f64) -> Box<dyn Table> {
    let all: f64 = backends.iter().map(|backend| f64::from(backend.weight)).sum();
    let room = |backend: &Backend| {
        (ENTRIES as f64 * f64::from(backend.weight) / all * bound).ceil() as u64
    };
    let mut room: Vec<_> = backends.iter().map(room).collect();
    let rendezvous = Rendezvous::new(backends);
    let entries = (0..ENTRIES).map(|entry| {
        let best = rendezvous.best(mix(entry), |number| room.get(number).is_some_and(|n| *n > 0));
        if let Some(room) = room.get_mut(usize::from(best)) {
            *room -= 1;
        }
        best
    });
    Box::new(Slots(entries.collect()))
}

impl Table for Slots {
    fn look_up(&self, key: u64) -> u16 {
        self.0.get((key % ENTRIES) as usize).copied().unwrap_or(u16::MAX)
    }

    fn owners(&self) -> Vec<u16> {
        self.0.clone()
    }

    fn bytes(&self) -> usize {
        size_of_val(self.0.as_slice())
    }
}
