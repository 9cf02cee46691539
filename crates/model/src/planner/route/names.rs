//! What callers get, by names.

use std::sync::Arc;

use super::parts::Given;
use crate::{
    object::ObjectName,
    outcome::{Outcome, Share},
    plan::RoutePart,
    route::{DestinationRef, LabelSelector, Operator, Requirement, Route, Rule},
};

/// What callers of a Service get whom no rule is for.
pub(in crate::planner) fn own_outcome(target: &ObjectName, own: &RoutePart) -> Outcome {
    let share = Share { to: target.to_string(), weight: 1, members: own.pool.len() };
    Outcome { rule: None, shares: vec![share], denied: false }
}

/// What a rule gives.
pub(super) fn named(target: &ObjectName, route: &Route, rule: &Rule, given: &Given<'_>) -> Outcome {
    let rule = Some((route.owner.clone(), Arc::clone(&rule.field)));
    match given {
        Given::Denied => Outcome { rule, shares: Vec::new(), denied: true },
        Given::Forward(parts) => {
            let shares = parts.iter().map(|(part, destination)| Share {
                to: name(target, &destination.to),
                weight: part.weight,
                members: part.pool.len(),
            });
            Outcome { rule, shares: shares.collect(), denied: false }
        }
    }
}

fn name(target: &ObjectName, to: &DestinationRef) -> String {
    match to {
        DestinationRef::Service { name, .. } => name.to_string(),
        DestinationRef::Subset(labels) => format!("{target}[{}]", selector(labels)),
        DestinationRef::Invalid(_) => "nowhere".to_owned(),
    }
}

/// As `kubectl get -l` takes it.
fn selector(LabelSelector { requirements }: &LabelSelector) -> String {
    let requirements = requirements.iter().map(|Requirement { key, operator }| match operator {
        Operator::In(values) if values.len() == 1 => format!("{key}={}", values.concat()),
        Operator::In(values) => format!("{key} in ({})", values.join(", ")),
        Operator::NotIn(values) if values.len() == 1 => format!("{key}!={}", values.concat()),
        Operator::NotIn(values) => format!("{key} notin ({})", values.join(", ")),
        Operator::Exists => key.to_string(),
        Operator::DoesNotExist => format!("!{key}"),
    });
    requirements.collect::<Vec<_>>().join(",")
}
