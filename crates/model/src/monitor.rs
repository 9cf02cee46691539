//! What is asked of an operator's own monitoring, checked.

use std::{cmp::Ordering, fmt, sync::Arc, time::Duration};

/// One monitor, of a policy or of nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Monitor {
    /// Its name.
    pub name: Arc<str>,
    /// Whom to ask or hear.
    pub source: MonitorSource,
}

/// Where a monitor's word comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MonitorSource {
    /// A query.
    Prometheus(Query),
    /// Alerts that are sent.
    Alertmanager(Alerts),
}

/// A query that is asked again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// In PromQL.
    pub text: Arc<str>,
    /// Which values are bad.
    pub bad: Bad,
    /// From one to the next.
    pub interval: Duration,
    /// How long an answer may take, at most `interval`.
    pub timeout: Duration,
    /// Bad results one after another that eject, at least 1.
    pub consecutive: u32,
    /// Good results one after another that end that, at least 1.
    pub recovery: u32,
    /// How long what was ejected stays so without any usable answer.
    pub hold: Duration,
}

/// Alerts that Alertmanager sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alerts {
    /// Labels with their values, all of which an alert has.
    pub matchers: Vec<(Arc<str>, Arc<str>)>,
    /// How often one that goes on is repeated.
    pub repeat: Duration,
}

/// Which values are bad.
#[derive(Clone, Copy, Debug)]
pub struct Bad {
    order: Ordering,
    threshold: f64,
}

impl Bad {
    /// Values that are greater than this; none where it is no finite number.
    #[must_use]
    pub fn greater_than(threshold: f64) -> Option<Self> {
        threshold.is_finite().then_some(Self { order: Ordering::Greater, threshold })
    }

    /// Values that are less than this; none where it is no finite number.
    #[must_use]
    pub fn less_than(threshold: f64) -> Option<Self> {
        threshold.is_finite().then_some(Self { order: Ordering::Less, threshold })
    }

    /// Whether a value is.
    #[must_use]
    pub fn is(self, value: f64) -> bool {
        value.partial_cmp(&self.threshold) == Some(self.order)
    }
}

impl PartialEq for Bad {
    fn eq(&self, other: &Self) -> bool {
        // A finite number is equal to itself.
        self.order == other.order && self.threshold.total_cmp(&other.threshold).is_eq()
    }
}

impl Eq for Bad {}

impl fmt::Display for Bad {
    /// `> 0.05`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.order.is_gt() { '>' } else { '<' };
        write!(f, "{sign} {}", self.threshold)
    }
}
