//! What the status of each object with routes is to be, and which of them have another one; pure.

use std::collections::BTreeMap;

use etm_model::{Accepted, Problem, RouteCondition, RouteOwner, RouteStatus};
use etm_source::kubernetes::{ObservedRoute, Said};
use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Condition, jiff::Timestamp};
use serde_json::{Value, json};

use crate::{gateway_status::parents, policies::condition, write::Outcome};

pub(crate) const ACCEPTED: &str = "Accepted";
pub(crate) const RESOLVED_REFS: &str = "ResolvedRefs";

/// All objects with routes of the cluster.
#[derive(Debug, Default)]
pub struct Routes {
    known: BTreeMap<RouteOwner, Known>,
}

#[derive(Debug)]
struct Known {
    observed: ObservedRoute,
    /// One for each of its routes, in order.
    conditions: Vec<RouteCondition>,
    /// The status that was sent for a version already: what became of that, the next version tells.
    /// So each version is written to once for the same thing, whoever else writes to it.
    sent: Option<(String, Value)>,
    /// Why that came to nothing.
    problem: Option<Problem>,
}

/// What is to become the status of an object with routes.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteWrite {
    /// The object.
    pub owner: RouteOwner,
    /// By which version of its kind.
    pub api_version: String,
    /// The version of it that this is about; no other gets it.
    pub version: String,
    /// The status: of one of etm's own kinds what is etm's of it, of one of the Gateway API's all of
    /// it, with the entries of other controllers as they were.
    pub status: Value,
}

impl Routes {
    /// Takes in which of them changed, and what becomes of all routes of the cluster, which has these
    /// changes already.
    pub fn update(
        &mut self,
        changed: Vec<(RouteOwner, Option<ObservedRoute>)>,
        conditions: &BTreeMap<RouteOwner, Vec<RouteCondition>>,
    ) {
        for (owner, observed) in changed {
            let before = self.known.remove(&owner);
            if let Some(observed) = observed {
                let sent = before.and_then(|before| before.sent);
                let conditions = Vec::new();
                self.known.insert(owner, Known { observed, conditions, sent, problem: None });
            }
        }
        for (owner, known) in &mut self.known {
            known.conditions = conditions.get(owner).cloned().unwrap_or_default();
        }
    }

    /// How many there are, and how many of them count for something.
    #[must_use]
    pub fn count(&self) -> (usize, usize) {
        let counts = |known: &&Known| known.conditions.iter().any(|one| one.accepted.status());
        (self.known.len(), self.known.values().filter(counts).count())
    }

    /// A status that is to be written, as of `now`; none where all are as they should be.
    #[must_use]
    pub fn next(&self, now: Timestamp) -> Option<RouteWrite> {
        self.known.values().find_map(|known| known.write(now))
    }

    /// Takes note of what became of a write.
    pub fn note(&mut self, write: &RouteWrite, outcome: &Outcome) {
        let Some(known) = self.known.get_mut(&write.owner) else { return };
        known.problem = match outcome {
            Outcome::Written | Outcome::Overtaken => None,
            Outcome::Refused(problem) | Outcome::Failed(problem) => Some(problem.clone()),
        };
        if !matches!(outcome, Outcome::Failed(_)) {
            known.sent = Some((write.version.clone(), timeless(&write.status)));
        }
    }

    /// The writes that came to nothing.
    pub fn problems(&self) -> impl Iterator<Item = Problem> {
        self.known.values().filter_map(|known| known.problem.clone())
    }
}

impl Known {
    fn write(&self, now: Timestamp) -> Option<RouteWrite> {
        let Self { observed, conditions, sent, .. } = self;
        let status = match &observed.said {
            Said::Own(said) => own(observed, said.as_ref().err(), conditions, now)?,
            Said::Gateway(route) => parents(observed, route, conditions, now)?,
        };
        let told = (observed.version.clone(), timeless(&status));
        (sent.as_ref() != Some(&told)).then(|| RouteWrite {
            owner: observed.owner.clone(),
            api_version: observed.api_version.clone(),
            version: observed.version.clone(),
            status,
        })
    }
}

/// What is etm's of the status of one of its own kinds; none where that is so already.
fn own(
    observed: &ObservedRoute,
    invalid: Option<&Vec<Problem>>,
    conditions: &[RouteCondition],
    now: Timestamp,
) -> Option<Value> {
    let before = read(&observed.status["conditions"]);
    let generation = observed.generation;
    let told: Vec<Condition> = match (invalid, conditions) {
        (Some(problems), _) => {
            let accepted = Accepted::invalid(problems);
            let told = ("False", accepted.reason.name(), accepted.message.as_str());
            vec![condition(&before, generation, ACCEPTED, told, now)]
        }
        (None, [one, ..]) => both(&before, generation, one, now).into(),
        // It is not known yet.
        (None, []) => return None,
    };
    let find = |of: &str| before.iter().find(|one| one.type_ == of);
    let same = told.iter().all(|one| find(&one.type_) == Some(one))
        && (told.len() > 1 || find(RESOLVED_REFS).is_none())
        && observed.status["observedGeneration"].as_i64() == generation;
    (!same).then(|| json!({"conditions": told, "observedGeneration": generation}))
}

/// Both conditions of a route, those before being these.
pub(crate) fn both(
    before: &[Condition],
    generation: Option<i64>,
    RouteCondition { accepted, resolved_refs, portless: _ }: &RouteCondition,
    now: Timestamp,
) -> [Condition; 2] {
    [(ACCEPTED, accepted), (RESOLVED_REFS, resolved_refs)].map(|(of, status)| {
        let is = if status.status() { "True" } else { "False" };
        let RouteStatus { reason, message } = status;
        let message = within(message);
        condition(before, generation, of, (is, reason.name(), &message), now)
    })
}

/// Characters of a condition's message, at most.
const MESSAGE: usize = 32_768;

/// A message that is no longer than conditions may be.
fn within(message: &str) -> String {
    message.chars().take(MESSAGE).collect()
}

/// Conditions as others may have written them.
pub(crate) fn read(conditions: &Value) -> Vec<Condition> {
    let listed = conditions.as_array().into_iter().flatten();
    listed.filter_map(|one| serde_json::from_value(one.clone()).ok()).collect()
}

/// A status without the times at which its conditions began.
fn timeless(status: &Value) -> Value {
    match status {
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(name, _)| *name != "lastTransitionTime");
            kept.map(|(name, value)| (name.clone(), timeless(value))).collect()
        }
        Value::Array(values) => values.iter().map(timeless).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests;
