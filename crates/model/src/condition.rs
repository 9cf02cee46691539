use std::collections::BTreeMap;

use crate::{
    object::{ObjectName, Service},
    planner::{Policies, Verdict, refused, target, verdict},
    policy::Policy,
    problem::Problem,
    snapshot::Snapshot,
};

/// Why the condition `Accepted` of a `TrafficPolicy` is as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AcceptedReason {
    /// It counts.
    Accepted,
    /// Other policies count wherever it would.
    Conflicted,
    /// There is no such Service.
    TargetNotFound,
    /// The Service has no such port.
    PortNotFound,
    /// Something in its spec makes no sense.
    Invalid,
}

impl AcceptedReason {
    /// As conditions have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "Accepted",
            Self::Conflicted => "Conflicted",
            Self::TargetNotFound => "TargetNotFound",
            Self::PortNotFound => "PortNotFound",
            Self::Invalid => "Invalid",
        }
    }
}

/// The condition `Accepted` of a `TrafficPolicy`: `True` with the reason
/// [`AcceptedReason::Accepted`], and `False` with any other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// `reason`.
    pub reason: AcceptedReason,
    /// `message`.
    pub message: String,
}

impl Accepted {
    /// Whether the policy counts.
    #[must_use]
    pub const fn status(&self) -> bool {
        matches!(self.reason, AcceptedReason::Accepted)
    }

    /// The condition of a policy that is in no Snapshot, since it could not be read, for these
    /// reasons.
    #[must_use]
    pub fn invalid(problems: &[Problem]) -> Self {
        let told = problems.iter().map(|Problem { field, reason, hint, .. }| {
            let field = if field.is_empty() { "" } else { &format!("{field} ") };
            format!("{field}{reason} ({hint})")
        });
        let message = told.collect::<Vec<_>>().join("; ");
        Self { reason: AcceptedReason::Invalid, message }
    }
}

/// The condition `Accepted` of each policy of a Snapshot.
#[must_use]
pub fn conditions(snapshot: &Snapshot) -> BTreeMap<ObjectName, Accepted> {
    let services = snapshot.policies.iter();
    let conditions = services.flat_map(|(name, policies)| {
        let service = snapshot.services.get(name);
        policies
            .values()
            .map(move |policy| (policy.name.clone(), condition(service, policies, policy)))
    });
    conditions.collect()
}

fn condition(service: Option<&Service>, policies: &Policies, policy: &Policy) -> Accepted {
    let verdict = verdict(service, policies, policy);
    let reason = match verdict {
        Verdict::Accepted(_) => AcceptedReason::Accepted,
        Verdict::Conflicted(_) => AcceptedReason::Conflicted,
        Verdict::TargetNotFound => AcceptedReason::TargetNotFound,
        Verdict::PortNotFound => AcceptedReason::PortNotFound,
    };
    let message = match refused(service, policy, verdict) {
        Some(Problem { reason, hint, .. }) => format!("{reason} ({hint})"),
        None => {
            let others = match verdict {
                Verdict::Accepted(false) => ", but for ports with a policy of their own",
                _ => "",
            };
            format!("counts for {}{others}", target(policy))
        }
    };
    Accepted { reason, message }
}
