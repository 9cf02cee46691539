//! What the status of an object with routes is to be.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    object::ObjectName,
    planner::{RouteVerdict, Standing},
    problem::Problem,
    route::{Route, RouteOwner},
    snapshot::Snapshot,
};

/// Why a condition of a route is as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RouteReason {
    /// `Accepted`: it counts.
    Accepted,
    /// `ResolvedRefs`: everything that it names is there.
    ResolvedRefs,
    /// Others come before it wherever it would count.
    Conflicted,
    /// There is no such Service (`TrafficRoute`, `Release`).
    TargetNotFound,
    /// The target has no such port, or a destination has none (`TrafficRoute`, `Release`).
    PortNotFound,
    /// There is no such Service, or it has no such port (kinds of the Gateway API).
    NoMatchingParent,
    /// A destination in another namespace that no `ReferenceGrant` permits.
    RefNotPermitted,
    /// A destination that is not there.
    BackendNotFound,
    /// A destination without a usable endpoint (`TrafficRoute`, `Release`).
    NoEndpoints,
    /// A destination of a kind that is not known.
    InvalidKind,
    /// It and older routes lead in a circle.
    Loop,
    /// Something in its spec makes no sense.
    Invalid,
}

impl RouteReason {
    /// As conditions have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "Accepted",
            Self::ResolvedRefs => "ResolvedRefs",
            Self::Conflicted => "Conflicted",
            Self::TargetNotFound => "TargetNotFound",
            Self::PortNotFound => "PortNotFound",
            Self::NoMatchingParent => "NoMatchingParent",
            Self::RefNotPermitted => "RefNotPermitted",
            Self::BackendNotFound => "BackendNotFound",
            Self::NoEndpoints => "NoEndpoints",
            Self::InvalidKind => "InvalidKind",
            Self::Loop => "Loop",
            Self::Invalid => "Invalid",
        }
    }
}

/// One condition: `True` with the reason [`RouteReason::Accepted`] or [`RouteReason::ResolvedRefs`],
/// and `False` with any other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteStatus {
    /// `reason`.
    pub reason: RouteReason,
    /// `message`.
    pub message: String,
}

impl RouteStatus {
    /// Whether it is `True`.
    #[must_use]
    pub const fn status(&self) -> bool {
        matches!(self.reason, RouteReason::Accepted | RouteReason::ResolvedRefs)
    }
}

/// The conditions of one [`Route`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteCondition {
    /// `Accepted`: whether it counts.
    pub accepted: RouteStatus,
    /// `ResolvedRefs`: whether everything that it names as a destination is there.
    pub resolved_refs: RouteStatus,
    /// Fields of destinations that have none of the ports that the route is about.
    pub portless: BTreeSet<String>,
}

/// The conditions of each object with routes, one for each of its [`Route`]s in their order. They
/// depend on Services, slices, routes, grants and labels of Pods, and neither on callers nor the node.
#[must_use]
pub fn route_conditions(snapshot: &Snapshot) -> BTreeMap<RouteOwner, Vec<RouteCondition>> {
    let mut standing: BTreeMap<&ObjectName, Standing<'_>> = BTreeMap::new();
    let mut conditions = BTreeMap::new();
    for (owner, routes) in &snapshot.routes {
        let told = (0..).zip(routes.iter()).map(|(index, route)| {
            let target = &route.target;
            let standing =
                standing.entry(target).or_insert_with(|| Standing::new(snapshot, target));
            condition(standing.verdict(&(owner.clone(), index), route), route)
        });
        conditions.insert(owner.clone(), told.collect());
    }
    conditions
}

fn condition(verdict: RouteVerdict, route: &Route) -> RouteCondition {
    let RouteVerdict { refused, unresolved, portless } = verdict;
    let accepted = match refused {
        Some(fault) => RouteStatus { reason: fault.reason, message: message(&fault.problem) },
        None => {
            let message = format!("counts for Service {}", route.target);
            RouteStatus { reason: RouteReason::Accepted, message }
        }
    };
    // That a share is refused since nothing works there is no matter of references to the Gateway API.
    let counts = |reason| reason != RouteReason::NoEndpoints || !route.owner.kind.is_gateway();
    let mut unresolved = unresolved.iter().filter(|fault| counts(fault.reason)).peekable();
    let resolved_refs = match unresolved.peek() {
        Some(first) => {
            let reason = first.reason;
            let told: Vec<_> = unresolved.map(|fault| message(&fault.problem)).collect();
            RouteStatus { reason, message: told.join("; ") }
        }
        None => RouteStatus {
            reason: RouteReason::ResolvedRefs,
            message: "all destinations are there".into(),
        },
    };
    RouteCondition { accepted, resolved_refs, portless }
}

fn message(problem: &Problem) -> String {
    let Problem { field, reason, hint, .. } = problem;
    format!("{field}: {reason} ({hint})")
}
