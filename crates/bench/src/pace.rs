//! Turns at full speed, told from those that another guest of the machine slowed down.
//!
//! A virtual processor often is one of the two hardware threads of a core. While the other one
//! works for another guest, this one runs at down to half its speed, for milliseconds at a time,
//! and nothing in this guest tells: it is not counted as stolen time. A piece of arithmetic that
//! fills the core takes longer then.

use std::{hint::black_box, time::Instant};

use serde::{Deserialize, Serialize};

/// How much longer than at its fastest the arithmetic of a turn may take.
const TOLERANCE: f64 = 1.02;

/// Turns that count at least.
const LEAST: usize = 5;

/// What a turn gave, and how fast the processor was.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub struct Paced<T> {
    /// The longest that a piece of arithmetic took before and after it, in nanoseconds.
    pub pace: f64,
    /// What the turn gave.
    pub result: T,
}

impl<T> Paced<T> {
    /// Takes a turn, and looks at the pace before and after it.
    ///
    /// # Errors
    ///
    /// Those of the turn.
    pub fn take(turn: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<Self> {
        let before = pace();
        let result = turn()?;
        Ok(Self { pace: before.max(pace()), result })
    }
}

/// Nanoseconds that the piece of arithmetic takes now, some 12,000 of them.
fn pace() -> f64 {
    let started = Instant::now();
    let mut lanes = [1_u64, 2, 3, 4, 5, 6, 7, 8];
    for step in 0..4_000 {
        for lane in &mut lanes {
            *lane = lane.wrapping_add(step).rotate_left(7);
        }
        lanes = black_box(lanes);
    }
    started.elapsed().as_nanos() as f64
}

/// What the turns gave during which the processor was as fast as it ever was; the fastest few where
/// it hardly ever was.
pub fn at_full_speed<T>(turns: impl IntoIterator<Item = Paced<T>>) -> Vec<T> {
    let mut turns: Vec<_> = turns.into_iter().collect();
    turns.sort_by(|one, other| one.pace.total_cmp(&other.pace));
    let longest = turns.first().map_or(0.0, |fastest| fastest.pace * TOLERANCE);
    let count = turns.partition_point(|turn| turn.pace <= longest).max(LEAST);
    turns.into_iter().take(count).map(|turn| turn.result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_of_a_slowed_processor_do_not_count() {
        let turns = (100..120).rev().map(|pace| Paced { pace: f64::from(pace), result: pace });
        assert_eq!(at_full_speed(turns.clone()), [100, 101, 102, 103, 104], "at least five");
        let alike = turns.map(|turn| Paced { pace: turn.pace.max(110.0), ..turn });
        assert_eq!(at_full_speed(alike).len(), 13, "those within 2%");
        assert_eq!(at_full_speed([Paced { pace: 9.0, result: "only" }]), ["only"]);
    }
}
