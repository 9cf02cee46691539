//! What is told of a plan, in the names that `-o json` has.

use etm_model::{Outcome, Problem};
use serde::Serialize;

/// What objects would change.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    /// The node that it is planned for.
    pub(super) node: String,
    /// Objects that were taken in.
    pub(super) objects: usize,
    /// Frontends that would be written.
    pub(super) frontends: usize,
    /// Service ports of which some callers get something else.
    pub(super) services: Vec<Port>,
    /// What could not be honoured and is new.
    pub(super) problems: Vec<Problem>,
    /// What could not be honoured before and can then.
    pub(super) mended: Vec<Problem>,
}

/// One port of a Service.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Port {
    /// `namespace/name:port/TCP`.
    pub(super) service: String,
    /// Families that this is so for.
    pub(super) families: Vec<String>,
    /// Who gets what; the first are those who are in no other.
    pub(super) classes: Vec<Class>,
}

/// Callers that get the same, now and then.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Class {
    /// `namespace/pod` or `node NAME`; empty for everyone else.
    pub(super) callers: Vec<String>,
    /// None where there is no such port.
    pub(super) now: Option<Gets>,
    pub(super) then: Option<Gets>,
    /// Whether the two differ.
    pub(super) changes: bool,
}

/// What some callers get.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Gets {
    /// The object and its field that say so; none where no route does.
    pub(super) rule: Option<String>,
    /// Whether a rule refuses them.
    pub(super) denied: bool,
    /// Where their connections go; nowhere refuses them.
    pub(super) shares: Vec<ShareOf>,
}

/// A part of the connections.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct ShareOf {
    /// `namespace/name` of the Service, with the labels of a subset in brackets.
    pub(super) to: String,
    /// Of all connections, 0 to 100.
    pub(super) percent: f64,
    /// Members that one is chosen of; none refuses.
    pub(super) members: usize,
}

impl Gets {
    pub(super) fn of(outcome: &Outcome) -> Self {
        let rule = outcome.rule.as_ref();
        let rule =
            rule.map(|(owner, field)| format!("{} {} {field}", owner.kind.name(), owner.name));
        let whole: u64 = outcome.shares.iter().map(|share| u64::from(share.weight)).sum();
        let shares = outcome.shares.iter().map(|share| ShareOf {
            to: share.to.clone(),
            percent: f64::from(share.weight) * 100.0 / whole.max(1) as f64,
            members: share.members,
        });
        Self { rule, denied: outcome.denied, shares: shares.collect() }
    }

    /// Whether callers see no difference.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.denied == other.denied && self.shares == other.shares
    }
}
