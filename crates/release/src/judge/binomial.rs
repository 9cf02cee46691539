//! Whether a share is larger or smaller than a limit: the exact binomial test, which is the bound of
//! Clopper and Pearson (1934) turned round. Wilson's bound finds too much where few of few failed.

/// Terms below this part of the sum change nothing.
const SMALL: f64 = 1e-12;

/// Whether a share of which `count` out of `all` were seen is surely above a limit, surely not, or none
/// of both, where a verdict may be wrong with probability `alpha`.
pub(super) fn exceeds(count: u64, all: u64, limit: f64, alpha: f64) -> Option<bool> {
    if all == 0 {
        return None;
    }
    let observed = count as f64 / all as f64;
    if observed > limit {
        return (upper_tail(count, all, limit) <= alpha).then_some(true);
    }
    (upper_tail(all - count, all, 1.0 - limit) <= alpha).then_some(false)
}

/// The probability of at least `count` out of `all`, each with probability `share`, where `count` is
/// more than is expected.
fn upper_tail(count: u64, all: u64, share: f64) -> f64 {
    if share <= 0.0 {
        return if count == 0 { 1.0 } else { 0.0 };
    }
    if share >= 1.0 {
        return 1.0;
    }
    let (n, k) = (all as f64, count as f64);
    let ways = ln_gamma(n + 1.0) - ln_gamma(k + 1.0) - ln_gamma(n - k + 1.0);
    let mut term = (ways + k * share.ln() + (n - k) * (-share).ln_1p()).exp();
    let odds = share / (1.0 - share);
    let mut sum = 0.0;
    for i in count..=all {
        sum += term;
        let i = i as f64;
        term *= (n - i) / (i + 1.0) * odds;
        if term < sum * SMALL {
            break;
        }
    }
    sum.min(1.0)
}

/// Stirling's series, below 1e-10 off from 1 on: small arguments are moved up by the recurrence.
fn ln_gamma(x: f64) -> f64 {
    let (mut x, mut moved) = (x, 0.0);
    while x < 10.0 {
        moved -= x.ln();
        x += 1.0;
    }
    let series = (1.0 / 12.0 - (1.0 / 360.0 - 1.0 / (1260.0 * x * x)) / (x * x)) / x;
    moved + (x - 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln() + series
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_are_those_of_the_tables() {
        for (count, all, share, tail) in [
            (8, 10, 0.5, 0.054_687_5),
            (2, 22, 0.01, 0.020_219),
            (20, 100, 0.1, 0.001_979),
            (1, 1, 0.25, 0.25),
        ] {
            let got = upper_tail(count, all, share);
            assert!((got / tail - 1.0).abs() < 1e-3, "{count} of {all}: {got}");
        }
    }

    #[test]
    fn told_once_it_is_sure() {
        assert_eq!(exceeds(2, 22, 0.01, 0.01), None);
        assert_eq!(exceeds(20, 100, 0.01, 1e-9), Some(true));
        assert_eq!(exceeds(0, 298, 0.01, 0.05), None);
        assert_eq!(exceeds(0, 299, 0.01, 0.05), Some(false));
        assert_eq!(exceeds(1_000, 10_000_000, 0.01, 1e-9), Some(false));
        assert_eq!(exceeds(0, 0, 0.5, 0.5), None);
        assert_eq!(exceeds(5, 5, 1.0, 0.5), None);
    }
}
