//! By how much one share is larger than another.

/// One-sided bounds on a share: Wilson's score interval, which holds for small samples and for shares
/// near 0 (Wilson 1927; Newcombe 1998, method 3).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Share {
    pub(super) observed: f64,
    pub(super) lower: f64,
    pub(super) upper: f64,
}

impl Share {
    /// Of `count` out of `all`, at least 1, where the standard normal quantile is `z`.
    pub(super) fn of(count: u64, all: u64, z: f64) -> Self {
        let n = all.max(1) as f64;
        let observed = count as f64 / n;
        let z2 = z * z;
        let middle = (observed + z2 / (2.0 * n)) / (1.0 + z2 / n);
        let spread =
            z / (1.0 + z2 / n) * (observed * (1.0 - observed) / n + z2 / (4.0 * n * n)).sqrt();
        Self {
            observed,
            lower: if count == 0 { 0.0 } else { (middle - spread).max(0.0) },
            upper: if count >= all { 1.0 } else { (middle + spread).min(1.0) },
        }
    }

    /// By how much it is larger than another: Newcombe's interval for the difference of independent
    /// shares (Newcombe 1998, method 10).
    pub(super) fn above(self, other: Self) -> Self {
        let observed = self.observed - other.observed;
        let lower = (self.observed - self.lower).hypot(other.upper - other.observed);
        let upper = (self.upper - self.observed).hypot(other.observed - other.lower);
        Self { observed, lower: observed - lower, upper: observed + upper }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wilson_and_newcombe_as_published() {
        // Newcombe 1998, Statistics in Medicine 17: 81/263 by method 3, 56/70 - 48/80 by method 10.
        let share = Share::of(81, 263, 1.959_964);
        assert!((share.lower - 0.2553).abs() < 1e-4 && (share.upper - 0.3662).abs() < 1e-4);
        let difference = Share::of(56, 70, 1.959_964).above(Share::of(48, 80, 1.959_964));
        assert!((difference.lower - 0.0524).abs() < 1e-4, "{difference:?}");
        assert!((difference.upper - 0.3339).abs() < 1e-4, "{difference:?}");
    }

    #[test]
    fn nothing_is_sure_of_nothing() {
        let share = Share::of(0, 0, 2.0);
        assert!(share.lower == 0.0 && share.upper > 0.7, "{share:?}");
    }
}
