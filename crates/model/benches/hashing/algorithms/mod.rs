//! Ways to find a key's backend, each written from its source.

mod maglev;
mod multi_probe;
mod ours;
mod rendezvous;
mod ring;
mod slots;

use crate::backends::Backend;

/// Keys that are looked up where an algorithm has no table that could be compared entry by entry:
/// as many as `ours` has positions.
pub(crate) const KEYS: u32 = 1 << 17;

/// What finds the backend of a key.
pub(crate) trait Table {
    /// The index of a key's backend.
    fn look_up(&self, key: u64) -> u16;

    /// The backend of each entry of the table, or of each of many keys where there is none.
    fn owners(&self) -> Vec<u16> {
        (0..KEYS).map(|key| self.look_up(mix(key.into()))).collect()
    }

    /// Bytes that are kept for a Service besides the list of its backends.
    fn bytes(&self) -> usize;
}

/// An algorithm.
pub(crate) struct Algorithm {
    pub(crate) name: &'static str,
    pub(crate) build: fn(&[Backend]) -> Box<dyn Table>,
    /// Whether this is the one that etm uses.
    pub(crate) ours: bool,
    /// Whether it is also run for 32 and 50 backends, and over many sets.
    pub(crate) at_length: bool,
}

/// All of them, the one that etm uses first.
pub(crate) const ALL: [Algorithm; 7] = [
    Algorithm { name: "etm", build: ours::build, ours: true, at_length: true },
    Algorithm { name: "Maglev, M=65537", build: maglev::build, ours: false, at_length: true },
    Algorithm {
        name: "table by rendezvous, bounded, M=65521",
        build: slots::bounded,
        ours: false,
        at_length: false,
    },
    Algorithm {
        name: "table by rendezvous, M=65521",
        build: slots::unbounded,
        ours: false,
        at_length: false,
    },
    Algorithm {
        name: "rendezvous at look-up",
        build: rendezvous::build,
        ours: false,
        at_length: false,
    },
    Algorithm { name: "ring, 160 points", build: ring::build, ours: false, at_length: false },
    Algorithm {
        name: "multi-probe, 21 probes",
        build: multi_probe::build,
        ours: false,
        at_length: false,
    },
];

/// Spreads the bits of a number over all of a word, differently for each: the last steps of
/// SplitMix64 (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", 2014).
#[inline]
pub(crate) fn mix(number: u64) -> u64 {
    let x = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// The index of a backend as tables keep it.
fn index(index: usize) -> u16 {
    u16::try_from(index).unwrap_or(u16::MAX)
}
