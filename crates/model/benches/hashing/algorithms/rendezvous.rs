//! Rendezvous hashing at each look-up (Thaler and Ravishankar, "Using Name-Based Mappings to
//! Increase Hit Rates", IEEE/ACM Transactions on Networking, 1998).
//!
//! Weighted by the logarithmic method (Schindelhauer and Schomaker, "Weighted Distributed Hash
//! Tables", SPAA 2005).

use super::{Table, index, mix};
use crate::backends::Backend;

/// Backends, and how much each wants a key.
pub(super) struct Rendezvous {
    backends: Vec<Backend>,
    weighted: bool,
}

pub(super) fn build(backends: &[Backend]) -> Box<dyn Table> {
    Box::new(Rendezvous::new(backends))
}

impl Rendezvous {
    pub(super) fn new(backends: &[Backend]) -> Self {
        let weighted = backends.windows(2).any(|pair| match pair {
            [one, other] => one.weight != other.weight,
            _ => false,
        });
        Self { backends: backends.to_vec(), weighted }
    }

    /// The backend that wants a key most, among those with room.
    #[inline]
    pub(super) fn best(&self, key: u64, room: impl Fn(usize) -> bool) -> u16 {
        let mut best = (f64::INFINITY, 0);
        let mut most = (0, 0);
        for (number, backend) in self.backends.iter().enumerate() {
            if !room(number) {
                continue;
            }
            let score = mix(key ^ backend.id);
            if self.weighted {
                // Of 53 bits, and never 0.
                let part = ((score >> 11) as f64 + 0.5) / 2_f64.powi(53);
                let cost = -part.ln() / f64::from(backend.weight);
                if cost < best.0 {
                    best = (cost, number);
                }
            } else if score >= most.0 {
                most = (score, number);
            }
        }
        index(if self.weighted { best.1 } else { most.1 })
    }
}

impl Table for Rendezvous {
    fn look_up(&self, key: u64) -> u16 {
        self.best(key, |_| true)
    }

    fn bytes(&self) -> usize {
        0
    }
}
