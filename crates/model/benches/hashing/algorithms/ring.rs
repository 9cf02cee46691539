//! Ring hashing (Karger et al., "Consistent Hashing and Random Trees", STOC 1997), with as many
//! points a backend as Ketama has (<https://github.com/RJ/ketama>), more or fewer by weight; the
//! points by a faster hash than its MD5.

use super::{Table, index, mix};
use crate::backends::Backend;

/// Points of a backend of mean weight.
const POINTS: f64 = 160.0;

struct Ring(Vec<(u32, u16)>);

pub(super) fn build(backends: &[Backend]) -> Box<dyn Table> {
    let all: f64 = backends.iter().map(|backend| f64::from(backend.weight)).sum();
    let mut points = Vec::new();
    for (number, backend) in backends.iter().enumerate() {
        let share = f64::from(backend.weight) * backends.len() as f64 / all;
        let of = (share * POINTS).round() as u64;
        points.extend((0..of).map(|n| (mix(mix(backend.id) ^ n) as u32, index(number))));
    }
    points.sort_unstable();
    Box::new(Ring(points))
}

impl Table for Ring {
    fn look_up(&self, key: u64) -> u16 {
        let next = self.0.partition_point(|(point, _)| *point < (key >> 32) as u32);
        self.0.get(next).or(self.0.first()).map_or(u16::MAX, |(_, number)| *number)
    }

    fn bytes(&self) -> usize {
        size_of_val(self.0.as_slice())
    }
}
