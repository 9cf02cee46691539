//! What the number of keys gives by itself: the spread of keys that fall on backends at random, by
//! weight, and so of any hashing that bounds and stratifies nothing.

use crate::{
    algorithms::{KEYS, mix},
    backends::{Weights, backends},
    movement::{Seen, spread},
};

/// The spread over so many draws.
pub(crate) fn chance(size: usize, weights: Weights, draws: usize) -> Seen {
    let backends = backends(0, size, weights);
    let mut ends = Vec::new();
    let mut end = 0_u64;
    for backend in &backends {
        end += u64::from(backend.weight);
        ends.push(end);
    }
    let mut seen = Seen::default();
    for draw in 0..draws as u64 {
        let owner = |key: u32| {
            let at = mix(draw << 32 | u64::from(key)) % end.max(1);
            ends.partition_point(|end| *end <= at) as u16
        };
        seen.add(spread(&backends, &(0..KEYS).map(owner).collect::<Vec<_>>()));
    }
    seen
}
