//! What the status of each policy is to be, and which of them have another one; pure.

use std::collections::BTreeMap;

use etm_model::{Accepted, ObjectName, Problem, Snapshot, conditions};
use etm_source::kubernetes::{ObservedPolicy, PolicyUpdate};
use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};

use crate::write::{Outcome, StatusWrite};

/// The condition that is written; all others are somebody else's.
const ACCEPTED: &str = "Accepted";

/// All policies of the cluster.
#[derive(Debug, Default)]
pub struct Policies {
    snapshot: Snapshot,
    known: BTreeMap<ObjectName, Known>,
}

#[derive(Debug)]
struct Known {
    observed: ObservedPolicy,
    accepted: Accepted,
    /// The version for which this condition was sent already: what became of that, the next version
    /// tells. So each version of a policy is written to once, whoever else writes to it.
    sent: Option<(String, Accepted)>,
    /// Why that came to nothing.
    problem: Option<Problem>,
}

impl Policies {
    /// Takes in what changed.
    pub fn update(&mut self, update: PolicyUpdate) {
        let PolicyUpdate { changes, policies, problems: _ } = update;
        for change in changes {
            self.snapshot.change(change);
        }
        let conditions = conditions(&self.snapshot);
        for (name, observed) in policies {
            let Some(observed) = observed else {
                self.known.remove(&name);
                continue;
            };
            let accepted = match &observed.policy {
                Ok(_) => conditions.get(&name).cloned().unwrap_or_else(|| Accepted::invalid(&[])),
                Err(problems) => Accepted::invalid(problems),
            };
            let before = self.known.remove(&name);
            let sent = before.and_then(|before| before.sent);
            self.known.insert(name, Known { observed, accepted, sent, problem: None });
        }
        for (name, accepted) in conditions {
            if let Some(known) = self.known.get_mut(&name) {
                known.accepted = accepted;
            }
        }
    }

    /// How many there are, and how many of them count.
    #[must_use]
    pub fn count(&self) -> (usize, usize) {
        let accepted = self.known.values().filter(|known| known.accepted.status()).count();
        (self.known.len(), accepted)
    }

    /// A status that is to be written, as of `now`; none where all are as they should be.
    #[must_use]
    pub fn next(&self, now: Timestamp) -> Option<StatusWrite> {
        self.known.values().find_map(|known| known.write(now))
    }

    /// Takes note of what became of a write.
    pub fn note(&mut self, write: &StatusWrite, outcome: &Outcome) {
        let Some(known) = self.known.get_mut(&write.name) else { return };
        known.problem = match outcome {
            Outcome::Written | Outcome::Overtaken => None,
            Outcome::Refused(problem) | Outcome::Failed(problem) => Some(problem.clone()),
        };
        if !matches!(outcome, Outcome::Failed(_)) {
            known.sent = Some((write.version.clone(), write.accepted.clone()));
        }
    }

    /// The writes that came to nothing.
    pub fn problems(&self) -> impl Iterator<Item = Problem> {
        self.known.values().filter_map(|known| known.problem.clone())
    }
}

impl Known {
    fn write(&self, now: Timestamp) -> Option<StatusWrite> {
        let Self { observed, accepted, sent, .. } = self;
        let sent = sent
            .as_ref()
            .is_some_and(|(version, sent)| *version == observed.version && sent == accepted);
        if sent {
            return None;
        }
        let status = if accepted.status() { "True" } else { "False" };
        let before = observed.status.conditions.iter().find(|one| one.type_ == ACCEPTED);
        let last = before.filter(|before| before.status == status);
        let condition = Condition {
            type_: ACCEPTED.to_owned(),
            status: status.to_owned(),
            reason: accepted.reason.name().to_owned(),
            message: accepted.message.clone(),
            observed_generation: observed.generation,
            last_transition_time: last
                .map_or_else(|| Time(seconds(now)), |before| before.last_transition_time.clone()),
        };
        let same = before == Some(&condition)
            && observed.status.observed_generation == observed.generation;
        (!same).then(|| StatusWrite {
            name: observed.name.clone(),
            version: observed.version.clone(),
            generation: observed.generation,
            condition,
            accepted: accepted.clone(),
        })
    }
}

/// As times of objects are written.
fn seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

#[cfg(test)]
mod tests;
