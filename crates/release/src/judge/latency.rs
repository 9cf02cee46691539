//! Handshake times of one version against those of another.

use super::normal::student_exceeded_with;

/// Batches of each version without which nothing is told.
const LEAST: f64 = 10.0;

/// Means of batches. The kernel sums round-trip times and keeps no spread; that of the means of
/// batches, one for each look, takes its place (the method of batch means).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Batches {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Batches {
    /// Adds a batch (Welford 1962).
    pub(super) fn add(&mut self, mean: f64) {
        self.count += 1.0;
        let before = mean - self.mean;
        self.mean += before / self.count;
        self.squares += before * (mean - self.mean);
    }

    pub(super) fn mean(&self) -> f64 {
        self.mean
    }

    fn variance_of_mean(&self) -> f64 {
        self.squares / (self.count - 1.0) / self.count
    }
}

/// Whether the mean of one is more than so many times that of another, by Welch's t-test: surely more,
/// surely not, or none of both.
pub(super) fn slower(new: &Batches, old: &Batches, factor: f64, alpha: f64) -> Option<bool> {
    if new.count < LEAST || old.count < LEAST {
        return None;
    }
    let difference = new.mean - factor * old.mean;
    let (a, b) = (new.variance_of_mean(), factor * factor * old.variance_of_mean());
    let error = (a + b).sqrt();
    if error <= f64::EPSILON {
        return Some(difference > 0.0);
    }
    let freedom = (a + b).powi(2) / (a * a / (new.count - 1.0) + b * b / (old.count - 1.0));
    let sure = student_exceeded_with(alpha, freedom) * error;
    if difference > sure {
        return Some(true);
    }
    (difference < -sure).then_some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batches(means: impl Iterator<Item = f64>) -> Batches {
        let mut batches = Batches::default();
        means.for_each(|mean| batches.add(mean));
        batches
    }

    #[test]
    fn told_once_it_is_sure() {
        let around = |mean: f64| batches((0..20).map(|i| mean + f64::from(i % 5)));
        let old = around(100.0);
        assert_eq!(slower(&around(200.0), &old, 1.5, 0.01), Some(true));
        assert_eq!(slower(&around(110.0), &old, 1.5, 0.01), Some(false));
        assert_eq!(slower(&around(151.0), &old, 1.5, 0.01), None);
        let few = batches((0..9).map(f64::from));
        assert_eq!(slower(&few, &old, 1.5, 0.01), None);
    }
}
