//! Which `TrafficPolicy` counts for which port of a Service, and what the others are told.

use std::{collections::BTreeMap, sync::Arc};

use super::claim::Rank;
use crate::{
    object::{ObjectName, Service},
    policy::Policy,
    problem::Problem,
    snapshot::Snapshot,
};

/// The policies of one Service, by name.
pub(crate) type Policies = BTreeMap<Arc<str>, Arc<Policy>>;

/// What becomes of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict<'a> {
    /// It counts for every port that it covers, or with `false` for some of them.
    Accepted(bool),
    /// Others count for every port that it covers, the first of them this one.
    Conflicted(&'a Policy),
    /// There is no such Service, or none that this proxy handles.
    TargetNotFound,
    /// The Service has no port of the name.
    PortNotFound,
}

/// The policy of a port: before one for every port one that names it, then the oldest.
pub(super) fn of<'a>(policies: &'a Policies, port: &str) -> Option<&'a Policy> {
    let covering = policies.values().map(AsRef::as_ref).filter(|policy| covers(policy, port));
    covering.min_by_key(|policy| (policy.port.is_none(), rank(policy)))
}

/// The policy of ports that the Service does not have: the oldest of those that name none.
pub(super) fn of_every_port(policies: &Policies) -> Option<&Policy> {
    // No policy names a port without a name.
    of(policies, "")
}

/// What becomes of a policy among those of its Service.
pub(crate) fn verdict<'a>(
    service: Option<&Service>,
    policies: &'a Policies,
    policy: &Policy,
) -> Verdict<'a> {
    let Some(service) = service else { return Verdict::TargetNotFound };
    let covered = || service.ports.iter().filter(|port| covers(policy, &port.name));
    if policy.port.is_some() && covered().next().is_none() {
        return Verdict::PortNotFound;
    }
    let lost = || {
        let winners = covered().filter_map(|port| of(policies, &port.name));
        winners.filter(|winner| winner.name != policy.name)
    };
    match lost().next() {
        Some(winner) if lost().count() == covered().count() => Verdict::Conflicted(winner),
        lost => Verdict::Accepted(lost.is_none()),
    }
}

/// What the policies of a Service are told, in the order of their names.
pub(super) fn problems(name: &ObjectName, snapshot: &Snapshot) -> Vec<Problem> {
    let Some(policies) = snapshot.policies.get(name) else { return Vec::new() };
    let service = snapshot.services.get(name);
    let problems = policies.values().flat_map(|policy| {
        let verdict = verdict(service, policies, policy);
        let refused = refused(service, policy, verdict);
        let weighed = match verdict {
            Verdict::Accepted(_) => unweighed(policy, snapshot),
            _ => Vec::new(),
        };
        refused.into_iter().chain(weighed)
    });
    problems.collect()
}

/// Why a policy does not count; nothing where it does.
pub(crate) fn refused(
    service: Option<&Service>,
    policy: &Policy,
    verdict: Verdict<'_>,
) -> Option<Problem> {
    let target = target(policy);
    let (field, reason, hint) = match verdict {
        Verdict::Accepted(_) => return None,
        Verdict::Conflicted(winner) => (
            "spec.targetRef",
            format!(
                "TrafficPolicy {}, which {}, already says how {target} is balanced",
                winner.name,
                before(winner, policy)
            ),
            "that one counts; delete one of the two, or name another port in one of them".into(),
        ),
        Verdict::TargetNotFound => (
            "spec.targetRef.name",
            format!("there is no {target} that this proxy handles"),
            "create it, or correct the name; headless and ExternalName Services have no address \
             at which to choose; the policy counts once there is one"
                .into(),
        ),
        Verdict::PortNotFound => (
            "spec.targetRef.port",
            format!("there is no {target}"),
            format!("{}; the policy counts once there is one", ports(service)),
        ),
    };
    Some(Problem { object: object(policy), field: field.into(), reason, hint })
}

/// The Service of a policy, or the port of it.
pub(crate) fn target(policy: &Policy) -> String {
    let service = format!("Service {}", policy.target());
    match &policy.port {
        Some(port) => format!("port {port} of {service}"),
        None => service,
    }
}

/// Services that weigh Pods and are not there.
fn unweighed(policy: &Policy, snapshot: &Snapshot) -> Vec<Problem> {
    let weights = policy.load_balancing.service_weights.iter();
    let named = weights.map(|(name, _)| ObjectName {
        namespace: Arc::clone(&policy.name.namespace),
        name: Arc::clone(name),
    });
    let absent = named.enumerate().filter(|(_, name)| {
        !snapshot.services.contains_key(name) && !snapshot.slices.contains_key(name)
    });
    let problems = absent.map(|(i, name)| Problem {
        object: object(policy),
        field: format!("spec.loadBalancing.weights.services[{i}].name"),
        reason: format!("there is no Service {name} that this proxy handles"),
        hint: "create it, or correct the name; a headless Service cannot weigh Pods; no Pod has \
               this weight until then"
            .into(),
    });
    problems.collect()
}

fn covers(policy: &Policy, port: &str) -> bool {
    policy.port.as_deref().is_none_or(|named| named == port)
}

fn rank(policy: &Policy) -> Rank {
    Rank::new(policy.created, policy.name.clone())
}

fn before(winner: &Policy, loser: &Policy) -> &'static str {
    if winner.port.is_some() && loser.port.is_none() {
        "names the port"
    } else {
        rank(winner).before(&rank(loser))
    }
}

fn object(policy: &Policy) -> String {
    format!("TrafficPolicy {}", policy.name)
}

/// What a user may name instead.
fn ports(service: Option<&Service>) -> String {
    let ports = service.map(|service| service.ports.as_slice()).unwrap_or_default();
    let names = ports.iter().map(|port| &*port.name).filter(|name| !name.is_empty());
    let names = names.collect::<Vec<_>>().join(", ");
    if names.is_empty() {
        "its ports have no names: take the field away, and the policy is for all of them".into()
    } else {
        format!("use one of {names}, or take the field away, and the policy is for all of them")
    }
}
