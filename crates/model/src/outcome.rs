//! What callers of a Service port get, by names: for people and for comparison.

use std::{collections::BTreeMap, sync::Arc};

use serde::Serialize;

use crate::{
    object::Family,
    plan::ServicePortName,
    route::{CallerNumber, RouteOwner},
};

/// One port of a Service as it is called by one family, at addresses of one traffic policy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Called {
    /// The port.
    pub port: Arc<ServicePortName>,
    /// The family of the addresses.
    pub family: Family,
    /// Only endpoints on this node (traffic policy `Local`).
    pub local: bool,
}

/// Who gets what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcomes {
    /// What callers get who are no known caller of this node.
    pub unknown: Outcome,
    /// What the node and its Pods get.
    pub callers: BTreeMap<CallerNumber, Outcome>,
}

/// What some caller gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The object that says so and the field that holds the rule; none where no route says anything.
    pub rule: Option<(RouteOwner, Arc<str>)>,
    /// What is drawn from, by weight; nothing where calls are refused.
    pub shares: Vec<Share>,
    /// A rule says that calls are refused.
    pub denied: bool,
}

/// One of those that are drawn from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Share {
    /// `namespace/name` of the Service, with the labels of a subset in brackets.
    pub to: String,
    /// Its weight among the others.
    pub weight: u32,
    /// How many members it has; none refuses.
    pub members: usize,
}
