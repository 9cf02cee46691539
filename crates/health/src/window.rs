//! How many of a backend's latest connections failed.

use std::time::Duration;

use etm_model::FailureShare;

use crate::signal::Outcomes;

/// The window moves in so many steps.
const STEPS: usize = 6;

/// Connections of one step of the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) connections: u32,
    pub(crate) failures: u32,
}

/// The counters of a backend, and what they grew by in the steps of a window up to now: the present
/// step and those before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// None until they were read once: what was counted before that may be long ago.
    counters: Option<Outcomes>,
    step: Duration,
    /// Number of the latest step with anything in it, counted from the clock's zero.
    latest: u128,
    /// By number, modulo their count.
    tallies: [Tally; STEPS],
}

impl Tally {
    /// What counters grew by. `reset` connections were established before.
    fn between(before: &Outcomes, after: &Outcomes) -> Self {
        let grew = |count: fn(&Outcomes) -> u64| count(after).checked_sub(count(before));
        let ended = (|| {
            let unanswered = grew(|o| o.refused)? + grew(|o| o.timed_out)?;
            Some((grew(|o| o.established)? + unanswered, unanswered + grew(|o| o.reset)?))
        })();
        // Counters that went back are those of a new record, which began at zero.
        let (connections, failures) = ended.unwrap_or_else(|| {
            let unanswered = after.refused + after.timed_out;
            (after.established + unanswered, unanswered + after.reset)
        });
        let connections = u32::try_from(connections).unwrap_or(u32::MAX);
        let failures = u32::try_from(failures).unwrap_or(u32::MAX);
        Self { connections, failures: failures.min(connections) }
    }

    fn add(&mut self, other: Self) {
        self.connections = self.connections.saturating_add(other.connections);
        self.failures = self.failures.saturating_add(other.failures);
    }

    /// Whether a larger share failed than may.
    pub(crate) fn exceeds(self, share: &FailureShare) -> bool {
        let failed = u64::from(self.failures) * 100;
        self.connections >= share.minimum_connections.max(1)
            && self.failures > 0
            && failed >= u64::from(share.percent.get()) * u64::from(self.connections)
    }
}

impl Window {
    pub(crate) fn new(length: Duration) -> Self {
        let step = (length / STEPS as u32).max(Duration::from_nanos(1));
        Self { counters: None, step, latest: 0, tallies: [Tally::default(); STEPS] }
    }

    /// Takes the counters in; what they grew by.
    pub(crate) fn count(&mut self, now: Duration, counters: Outcomes) -> Tally {
        let before = self.counters.replace(counters);
        let grown = before.map(|before| Tally::between(&before, &counters)).unwrap_or_default();
        self.move_to(now);
        if grown != Tally::default() {
            self.tallies[place(self.latest)].add(grown);
        }
        grown
    }

    /// Makes it so long; what was counted in another length is dropped.
    pub(crate) fn resize(&mut self, length: Duration) {
        let counters = self.counters;
        let other = Self::new(length);
        if other.step != self.step {
            *self = Self { counters, ..other };
        }
    }

    /// Drops what was counted, and goes on from here.
    pub(crate) fn clear(&mut self) {
        self.tallies = [Tally::default(); STEPS];
    }

    /// Of the window that ends now.
    pub(crate) fn total(&self, now: Duration) -> Tally {
        let mut total = Tally::default();
        for (_, tally) in self.steps(now) {
            total.add(tally);
        }
        total
    }

    /// From when on the window has one failure less, where it has any.
    pub(crate) fn fades(&self, now: Duration) -> Option<Duration> {
        let oldest = self.steps(now).find(|(_, tally)| tally.failures > 0)?.0;
        Some(self.start(oldest + STEPS as u128))
    }

    /// Since when it has failures.
    pub(crate) fn failing_since(&self, now: Duration) -> Option<Duration> {
        let oldest = self.steps(now).find(|(_, tally)| tally.failures > 0)?.0;
        Some(self.start(oldest))
    }

    /// The steps that the window has now, the oldest first.
    fn steps(&self, now: Duration) -> impl Iterator<Item = (u128, Tally)> {
        let last = self.number(now).max(self.latest);
        let first = last.saturating_sub(STEPS as u128 - 1);
        (first..=self.latest).map(|number| (number, self.tallies[place(number)]))
    }

    fn move_to(&mut self, now: Duration) {
        let number = self.number(now);
        let passed = number.saturating_sub(self.latest);
        for number in (self.latest + 1..=number).take(STEPS.min(passed as usize)) {
            self.tallies[place(number)] = Tally::default();
        }
        if passed >= STEPS as u128 {
            self.clear();
        }
        self.latest = self.latest.max(number);
    }

    fn number(&self, now: Duration) -> u128 {
        now.as_nanos() / self.step.as_nanos()
    }

    fn start(&self, number: u128) -> Duration {
        let nanos = number * self.step.as_nanos();
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

fn place(number: u128) -> usize {
    (number % STEPS as u128) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(30);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn outcomes(established: u64, refused: u64) -> Outcomes {
        Outcomes { attempts: established + refused, established, refused, ..Outcomes::default() }
    }

    fn tally(connections: u32, failures: u32) -> Tally {
        Tally { connections, failures }
    }

    #[test]
    fn what_was_counted_before_the_first_reading_does_not_count() {
        let mut window = Window::new(WINDOW);
        window.count(at(100), outcomes(5, 5));
        assert_eq!(window.total(at(100)), tally(0, 0));
        window.count(at(101), outcomes(6, 8));
        assert_eq!(window.total(at(101)), tally(4, 3));
    }

    #[test]
    fn connections_leave_with_their_step() {
        let mut window = Window::new(WINDOW);
        window.count(at(0), outcomes(0, 0));
        window.count(at(4), outcomes(0, 1));
        window.count(at(6), outcomes(1, 3));
        assert_eq!(window.total(at(29)), tally(4, 3));
        assert_eq!(window.fades(at(29)), Some(at(30)));
        assert_eq!(window.total(at(30)), tally(3, 2));
        assert_eq!(window.fades(at(30)), Some(at(35)));
        assert_eq!(window.total(at(35)), tally(0, 0));
        assert_eq!(window.fades(at(35)), None);
        window.count(at(1_000), outcomes(2, 3));
        assert_eq!(window.total(at(1_000)), tally(1, 0));
    }

    #[test]
    fn counters_that_went_back_are_new_ones() {
        let mut window = Window::new(WINDOW);
        window.count(at(0), outcomes(50, 50));
        window.count(at(1), outcomes(1, 2));
        assert_eq!(window.total(at(1)), tally(3, 2));
    }

    #[test]
    fn a_share_counts_once_there_are_enough_to_tell() {
        let share = FailureShare::default();
        assert!(!tally(19, 19).exceeds(&share));
        assert!(tally(20, 10).exceeds(&share));
        assert!(!tally(21, 10).exceeds(&share));
    }

    #[test]
    fn a_connection_that_is_reset_is_one_connection() {
        let mut window = Window::new(WINDOW);
        window.count(at(0), Outcomes::default());
        let reset = Outcomes { attempts: 4, established: 4, reset: 4, ..Outcomes::default() };
        window.count(at(0), reset);
        assert_eq!(window.total(at(0)), tally(4, 4));
    }
}
