//! One line for each step of the set-up: what it is, what came of it, how long it took.

use std::io::{Write, stdout};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// What came of a step.
pub(crate) enum Outcome {
    /// It was in place already.
    Ok,
    /// It had to be made, and now is in place.
    Installed,
}

/// Runs a step and prints its line. `detail` of the returned pair says what is in place.
pub(crate) fn step<T>(
    name: &str,
    work: impl FnOnce(&Progress<'_>) -> Result<(T, Outcome, String)>,
) -> Result<T> {
    let started = Instant::now();
    let (value, outcome, detail) = work(&Progress { name }).with_context(|| name.to_owned())?;
    let outcome = match outcome {
        Outcome::Ok => "ok",
        Outcome::Installed => "installed",
    };
    println!("{name:<15} {outcome:<9} {:>7}  {detail}", shown(started.elapsed()));
    Ok(value)
}

/// Lets a step that takes long say so before it starts.
pub(crate) struct Progress<'a> {
    name: &'a str,
}

impl Progress<'_> {
    /// Says what is about to happen, and about how long it takes.
    pub(crate) fn say(&self, what: &str) {
        println!("{:<15} {what} ...", self.name);
        // On a pipe stdout is written in blocks; without this the line would come after the wait.
        let _ = stdout().flush();
    }
}

fn shown(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{} ms", time.as_millis())
    } else {
        format!("{:.1} s", time.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_times_in_milliseconds_and_long_ones_in_seconds() {
        assert_eq!(shown(Duration::from_micros(7_900)), "7 ms");
        assert_eq!(shown(Duration::from_millis(54_080)), "54.1 s");
    }
}
