//! What a proxy tells of itself, in the text format of Prometheus.

use anyhow::Context as _;

/// A page of metrics.
pub(crate) struct Metrics(String);

/// A histogram at one moment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Histogram {
    pub(crate) count: f64,
    sum: f64,
    /// Upper bounds, and how many there are up to each.
    buckets: Vec<(f64, f64)>,
}

impl Metrics {
    pub(crate) fn new(page: String) -> Self {
        Self(page)
    }

    /// The sum over all labels; of what is told for each family of addresses, only IPv4.
    pub(crate) fn value(&self, name: &str) -> f64 {
        // The sum of no floats is a negative zero.
        self.values(name).fold(0.0, |sum, (_, value)| sum + value)
    }

    pub(crate) fn histogram(&self, name: &str) -> anyhow::Result<Histogram> {
        let buckets = format!("{name}_bucket");
        let bounds = self.values(&buckets).map(|(labels, count)| {
            let (_, bound) = labels.split_once("le=\"").context("a bucket without a bound")?;
            let (bound, _) = bound.split_once('"').context("a bound without an end")?;
            Ok((bound.parse()?, count))
        });
        Ok(Histogram {
            count: self.value(&format!("{name}_count")),
            sum: self.value(&format!("{name}_sum")),
            buckets: bounds.collect::<anyhow::Result<_>>()?,
        })
    }

    /// Labels and values of a metric.
    fn values(&self, name: &str) -> impl Iterator<Item = (&str, f64)> {
        let lines = self.0.lines().filter_map(move |line| line.strip_prefix(name));
        lines
            .filter_map(|rest| match rest.strip_prefix('{') {
                Some(rest) => rest.split_once('}'),
                None => rest.starts_with(' ').then_some(("", rest)),
            })
            .filter(|(labels, _)| !labels.contains("ip_family=\"IPv6\""))
            .filter_map(|(labels, rest)| {
                Some((labels, rest.split_whitespace().next()?.parse().ok()?))
            })
    }
}

impl Histogram {
    /// What came since an earlier moment.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        let before = |bound: f64| {
            let found = earlier.buckets.iter().find(|(known, _)| *known == bound);
            found.map_or(0.0, |(_, count)| *count)
        };
        let buckets = self.buckets.iter().map(|(bound, count)| (*bound, count - before(*bound)));
        Self {
            count: self.count - earlier.count,
            sum: self.sum - earlier.sum,
            buckets: buckets.collect(),
        }
    }

    /// The arithmetic mean, exactly; NaN of none.
    pub(crate) fn mean(&self) -> f64 {
        self.sum / self.count
    }

    /// The bound of the bucket that this share ends in: it is no more than that.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let due = self.count * share;
        let found = self.buckets.iter().find(|(_, count)| *count >= due);
        found.map_or(f64::NAN, |(bound, _)| *bound)
    }
}
