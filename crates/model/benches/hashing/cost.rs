//! Time to build a table and to look a key up, and its memory.
//!
//! Time is that of the processor, so that what else runs counts less: nothing here waits.

use std::hint::black_box;

use etm_bench::statistics::median;
use rustix::time::{ClockId, clock_gettime};

use crate::{
    algorithms::{Algorithm, Table, mix},
    backends::{Backend, Change, Weights, backends},
};

const LOOK_UPS: u32 = 100_000;

/// What one table costs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// Milliseconds to build it from nothing; median.
    pub(crate) build: f64,
    /// Milliseconds to have the table after one backend has changed; median.
    pub(crate) change: f64,
    /// Nanoseconds to look up a key; median.
    pub(crate) look_up: f64,
    /// KiB besides the list of backends.
    pub(crate) memory: f64,
}

/// Builds tables of so many sets, a changed set after each, and looks keys up.
pub(crate) fn cost(algorithm: &Algorithm, size: usize, weights: Weights, sets: usize) -> Cost {
    let (mut builds, mut changes, mut look_ups) = (Vec::new(), Vec::new(), Vec::new());
    let mut memory = 0.0;
    for set in 0..sets {
        let before = backends(set, size, weights);
        let change = Change::ALL.get(set % Change::ALL.len()).copied().unwrap_or(Change::Removal);
        let (after, _) = change.apply(&before, set, 0, 1);
        builds.push(build(algorithm, &before));
        changes.push(build(algorithm, &after));
        let table = (algorithm.build)(&before);
        look_ups.push(look_up(table.as_ref()));
        memory = table.bytes() as f64 / 1024.0;
    }
    Cost { build: median(builds), change: median(changes), look_up: median(look_ups), memory }
}

fn build(algorithm: &Algorithm, backends: &[Backend]) -> f64 {
    let start = now();
    black_box((algorithm.build)(black_box(backends)));
    (now() - start) * 1e3
}

fn look_up(table: &dyn Table) -> f64 {
    let keys: Vec<u64> = (0..LOOK_UPS).map(|key| mix(key.into())).collect();
    let start = now();
    for key in &keys {
        black_box(table.look_up(*key));
    }
    (now() - start) * 1e9 / f64::from(LOOK_UPS)
}

/// Seconds that this thread has had a processor.
fn now() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
