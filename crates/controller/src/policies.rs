//! What the status of each policy is to be, and which of them have another one; pure.

use std::collections::BTreeMap;

use etm_model::{Accepted, ObjectName, Problem, Snapshot, conditions};
use etm_source::kubernetes::{ObservedPolicy, PolicyUpdate};
use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};

use crate::{
    monitored::{self, Monitored, REACHABLE, Reachable},
    write::{Outcome, StatusWrite, Told},
};

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
    monitored: Monitored,
    /// The version for which this was sent already: what became of that, the next version tells. So
    /// each version of a policy is written to once for the same thing, whoever else writes to it.
    sent: Option<(String, Accepted, Monitored)>,
    /// Why that came to nothing.
    problem: Option<Problem>,
}

impl Policies {
    /// Takes in what changed.
    pub fn update(&mut self, update: PolicyUpdate) {
        let PolicyUpdate { changes, policies, routes: _, problems: _ } = update;
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
            let (sent, monitored) =
                before.map(|before| (before.sent, before.monitored)).unwrap_or_default();
            self.known.insert(name, Known { observed, accepted, monitored, sent, problem: None });
        }
        for (name, accepted) in conditions {
            if let Some(known) = self.known.get_mut(&name) {
                known.accepted = accepted;
            }
        }
    }

    /// The state of the cluster that was told.
    #[must_use]
    pub const fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// One of them, as it was observed.
    #[must_use]
    pub fn get(&self, name: &ObjectName) -> Option<&ObservedPolicy> {
        self.known.get(name).map(|known| &known.observed)
    }

    /// All of them, as they were observed.
    pub fn observed(&self) -> impl Iterator<Item = &ObservedPolicy> {
        self.known.values().map(|known| &known.observed)
    }

    /// Takes in what the monitors of a policy say.
    pub fn set_monitored(&mut self, name: &ObjectName, monitored: Monitored) {
        if let Some(known) = self.known.get_mut(name) {
            known.monitored = monitored;
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
            let Told { accepted, monitored } = write.told.clone();
            known.sent = Some((write.version.clone(), accepted, monitored));
        }
    }

    /// The writes that came to nothing.
    pub fn problems(&self) -> impl Iterator<Item = Problem> {
        self.known.values().filter_map(|known| known.problem.clone())
    }
}

impl Known {
    fn write(&self, now: Timestamp) -> Option<StatusWrite> {
        let Self { observed, accepted, monitored, sent, .. } = self;
        let sent = sent.as_ref().is_some_and(|(version, before, said)| {
            *version == observed.version && before == accepted && said == monitored
        });
        if sent {
            return None;
        }
        let status = if accepted.status() { "True" } else { "False" };
        let told = (status, accepted.reason.name(), accepted.message.as_str());
        let mut conditions = vec![self.condition(ACCEPTED, told, now)];
        if let Some(Reachable { status, reason, message }) = &monitored.reachable {
            conditions.push(self.condition(REACHABLE, (status, reason, message), now));
        }
        let before = |of: &str| observed.status.conditions.iter().find(|one| one.type_ == of);
        let ejected = monitored::pods(&monitored.ejected);
        let same = conditions.iter().all(|condition| before(&condition.type_) == Some(condition))
            && (monitored.reachable.is_some() || before(REACHABLE).is_none())
            && observed.status.ejected == ejected
            && observed.status.observed_generation == observed.generation;
        (!same).then(|| StatusWrite {
            name: observed.name.clone(),
            version: observed.version.clone(),
            generation: observed.generation,
            conditions,
            ejected,
            told: Told { accepted: accepted.clone(), monitored: monitored.clone() },
        })
    }

    /// A condition, with the time at which its status began.
    fn condition(
        &self,
        of: &str,
        (status, reason, message): (&str, &str, &str),
        now: Timestamp,
    ) -> Condition {
        let Self { observed, .. } = self;
        condition(
            &observed.status.conditions,
            observed.generation,
            of,
            (status, reason, message),
            now,
        )
    }
}

/// A condition, with the time at which its status began, those before being these.
pub(crate) fn condition(
    before: &[Condition],
    generation: Option<i64>,
    of: &str,
    (status, reason, message): (&str, &str, &str),
    now: Timestamp,
) -> Condition {
    let before = before.iter().find(|one| one.type_ == of);
    let last = before.filter(|before| before.status == status);
    Condition {
        type_: of.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        observed_generation: generation,
        last_transition_time: last
            .map_or_else(|| Time(seconds(now)), |before| before.last_transition_time.clone()),
    }
}

/// As times of objects are written.
pub(crate) fn seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

#[cfg(test)]
mod tests;
