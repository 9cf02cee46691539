//! Who moves, and who has how much.

use crate::{
    algorithms::Algorithm,
    backends::{Backend, Change, Weights, backends},
};

/// Mean and worst of what was seen.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    sum: f64,
    pub(crate) count: u32,
    pub(crate) worst: f64,
}

impl Seen {
    pub(crate) fn add(&mut self, value: f64) {
        self.sum += value;
        self.count += 1;
        self.worst = self.worst.max(value);
    }

    pub(crate) fn mean(&self) -> f64 {
        self.sum / f64::from(self.count)
    }
}

/// How often everything is tried.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// Sets of names whose spread is looked at.
    pub(crate) spreads: usize,
    /// Sets of names, of these, that are changed.
    pub(crate) sets: usize,
    /// Changes of each kind in each set.
    pub(crate) changes: usize,
    /// Sets for which a table is timed.
    pub(crate) timed: usize,
}

/// What was seen of one algorithm at one size.
#[derive(Debug, Default)]
pub(crate) struct Movement {
    /// Keys of backends to which nothing happened that move to another one of these, as a share of
    /// all their keys; by kind of change.
    pub(crate) collateral: [Seen; Change::ALL.len()],
    /// The largest share over what it should be.
    pub(crate) spread: Seen,
}

/// Builds tables for sets and for the sets after changes, and compares them.
pub(crate) fn movement(
    algorithm: &Algorithm,
    size: usize,
    weights: Weights,
    effort: Effort,
) -> Movement {
    let mut seen = Movement::default();
    for set in 0..effort.spreads {
        let before = backends(set, size, weights);
        let owners = (algorithm.build)(&before).owners();
        seen.spread.add(spread(&before, &owners));
        if set >= effort.sets {
            continue;
        }
        for (change, seen) in Change::ALL.into_iter().zip(&mut seen.collateral) {
            for turn in 0..effort.changes.min(size) {
                let (after, id) = change.apply(&before, set, turn, effort.changes.min(size));
                let moved = (algorithm.build)(&after).owners();
                seen.add(collateral(&before, &owners, &after, &moved, id));
            }
        }
    }
    seen
}

fn collateral(
    before: &[Backend],
    owners: &[u16],
    after: &[Backend],
    moved: &[u16],
    changed: u64,
) -> f64 {
    let id = |all: &[Backend], index: u16| all.get(usize::from(index)).map(|backend| backend.id);
    let (mut kept, mut lost) = (0_u32, 0_u32);
    for (was, is) in owners.iter().zip(moved) {
        let (was, is) = (id(before, *was), id(after, *is));
        if was != Some(changed) {
            kept += 1;
            lost += u32::from(is != was && is != Some(changed));
        }
    }
    f64::from(lost) / f64::from(kept)
}

/// The largest share over what it should be.
pub(crate) fn spread(backends: &[Backend], owners: &[u16]) -> f64 {
    let mut counts = vec![0_u32; backends.len()];
    for owner in owners {
        if let Some(count) = counts.get_mut(usize::from(*owner)) {
            *count += 1;
        }
    }
    let all: f64 = backends.iter().map(|backend| f64::from(backend.weight)).sum();
    let shares = counts.iter().zip(backends).map(|(count, backend)| {
        let share = owners.len() as f64 * f64::from(backend.weight) / all;
        f64::from(*count) / share
    });
    shares.fold(0.0, f64::max)
}
