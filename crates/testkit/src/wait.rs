//! Waiting in tests for what must become true; each of these panics when it does not.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::Agent;

/// So long that only what never comes is given up on, also on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until a condition holds.
#[track_caller]
pub fn until(what: &str, condition: impl FnMut() -> bool) {
    let mut condition = condition;
    until_some(what, || condition().then_some(()));
}

/// Waits until there is a value.
#[track_caller]
pub fn until_some<T>(what: &str, mut value: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = value() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        sleep(Duration::from_millis(2));
    }
}

/// Waits until the agent has logged a line that has all these parts.
#[track_caller]
pub fn until_logged(agent: &Agent, parts: &[&str]) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let log = agent.stderr();
        if log.lines().any(|line| parts.iter().all(|part| line.contains(part))) {
            return;
        }
        assert!(Instant::now() < deadline, "no line has all of {parts:?}:\n{log}");
        sleep(Duration::from_millis(2));
    }
}
