use serde::Serialize;

use crate::{problem::Problem, step::Step};

/// What a reconciliation came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// The writes, in order.
    pub steps: Vec<Step>,
    /// What does not fit into the maps, among what was looked at.
    pub problems: Vec<Problem>,
    /// What it comes to in numbers.
    pub report: Report,
}

/// How many frontends and backends were touched, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Frontends that were not in the maps.
    pub added: usize,
    /// Frontends whose Service, members, flags or errno changed.
    pub changed: usize,
    /// Frontends removed.
    pub removed: usize,
    /// Frontends looked at and found right.
    pub unchanged: usize,
    /// Frontends left as they were, without a look at the Plan.
    pub kept: usize,
    /// Frontends that led to no complete table, and do now.
    pub repaired: usize,
    /// Backends written.
    pub backends_added: usize,
    /// Backends that no frontend leads to any more, to be cleared after their grace.
    pub backends_retired: usize,
}
