//! What the status of each release is to be; pure.

mod analysis;
mod holder;
mod known;
mod routed;

use std::{collections::BTreeMap, time::Instant};

use etm_model::{ObjectName, Problem, RouteCondition, RouteOwner, Snapshot};
use etm_release::{Seen, Verdict, next};
use etm_source::kubernetes::{ObservedRelease, ReleaseUpdate};
use k8s_openapi::jiff::Timestamp;

use crate::{
    gather::{Gathered, ReleaseAsk},
    release_write::ReleaseWrite,
    write::Outcome,
};

use self::{analysis::Run, holder::holder, known::Known, routed::Routed};

/// All releases of the cluster.
#[derive(Debug, Default)]
pub struct Releases {
    known: BTreeMap<ObjectName, Known>,
    routed: Routed,
}

impl Releases {
    /// Takes in what changed.
    pub fn update(&mut self, update: ReleaseUpdate, now: Instant) {
        for (name, observed) in update.changed {
            match observed {
                Some(observed) => self.see(observed, now),
                None => drop(self.known.remove(&name)),
            }
        }
    }

    /// Takes in the state of the cluster, and what becomes of its routes.
    pub fn judge(
        &mut self,
        snapshot: &Snapshot,
        conditions: &BTreeMap<RouteOwner, Vec<RouteCondition>>,
    ) {
        self.routed = Routed::new(snapshot, conditions);
        for known in self.known.values_mut() {
            known.routing = self.routed.routing(&known.observed);
        }
    }

    /// Takes in one as it is now.
    fn see(&mut self, observed: ObservedRelease, now: Instant) {
        let name = observed.name.clone();
        let known = self.known.entry(name).or_insert_with(|| Known::new(observed.clone(), now));
        if known.observed.uid != observed.uid {
            known.forget();
        }
        // What is answered and what is watched come by two ways: the newer counts.
        let version = |one: &ObservedRelease| one.version.parse::<u64>().ok();
        let same = known.observed.uid == observed.uid;
        if same && version(&observed) < version(&known.observed) {
            return;
        }
        known.routing = self.routed.routing(&observed);
        if same && version(&observed) != version(&known.observed) {
            let before = known.since();
            known.observed = observed;
            // It may have to be looked at otherwise. At a step at once: what is counted from there on is
            // what the step is judged by.
            let soon = if known.since() == before { now + known.interval() } else { now };
            known.due = known.due.map(|due| due.min(soon));
            return;
        }
        known.observed = observed;
    }

    /// Knows nothing but what is written: another process may have led meanwhile.
    pub fn take_over(&mut self, now: Instant) {
        for known in self.known.values_mut() {
            known.forget();
            (known.due, known.sent) = (Some(now), None);
        }
    }

    /// How many there are, and how many of them are under way.
    #[must_use]
    pub fn count(&self) -> (usize, usize) {
        let under_way = self.known.values().filter(|known| known.is_under_way()).count();
        (self.known.len(), under_way)
    }

    /// One that it is time to look at.
    pub fn ask(&mut self, now: Instant) -> Option<ReleaseAsk> {
        self.known.values_mut().find_map(|known| {
            if !known.is_under_way() || known.due.is_none_or(|due| now < due) {
                return None;
            }
            let spec = known.spec()?.clone();
            known.due = None;
            Some(ReleaseAsk {
                name: known.observed.name.clone(),
                uid: known.observed.uid.clone(),
                since: known.since(),
                spec,
            })
        })
    }

    /// When one is to be looked at next.
    #[must_use]
    pub fn wake(&self) -> Option<Instant> {
        let known = self.known.values().filter(|known| known.is_under_way());
        known.filter_map(|known| known.due).min()
    }

    /// Takes in what was found.
    pub fn gathered(&mut self, ask: &ReleaseAsk, gathered: &Gathered, now: Instant) {
        let Some(known) = self.known.get_mut(&ask.name) else { return };
        known.due = Some(now + known.interval());
        if known.observed.uid != ask.uid {
            return;
        }
        known.unseen.clone_from(&gathered.problems);
        known.versions.clone_from(&gathered.versions);
        known.uncalled.clone_from(&gathered.uncalled);
        let Some(analysis) = ask.spec.analysis.as_ref() else { return };
        if known.run.is_none() {
            known.run = Run::new(analysis);
        }
        let since = known.since();
        if let Some(run) = &mut known.run {
            run.take(gathered, ask.since, since);
        }
    }

    /// A status that is to be written, as of `now`; none where all are as they should be.
    #[must_use]
    pub fn next(&self, now: Timestamp) -> Option<ReleaseWrite> {
        self.known.values().find_map(|known| self.write(known, now))
    }

    /// Takes note of what became of a write, and of the release as it is then.
    pub fn note(
        &mut self,
        write: &ReleaseWrite,
        outcome: &Outcome,
        after: Option<ObservedRelease>,
        now: Instant,
    ) {
        if let Some(known) = self.known.get_mut(&write.name) {
            known.written = match outcome {
                Outcome::Written | Outcome::Overtaken => None,
                Outcome::Refused(problem) | Outcome::Failed(problem) => Some(problem.clone()),
            };
            if !matches!(outcome, Outcome::Failed(_)) {
                known.sent = Some(write.version.clone());
            }
        }
        if let Some(after) = after {
            self.see(after, now);
        }
    }

    /// What of them cannot be read, the writes that came to nothing, and what could not be looked at.
    pub fn problems(&self) -> impl Iterator<Item = Problem> {
        self.known.values().flat_map(Known::problems)
    }

    fn write(&self, known: &Known, now: Timestamp) -> Option<ReleaseWrite> {
        let Known { observed, versions, run, sent, .. } = known;
        if observed.deleting || sent.as_ref() == Some(&observed.version) {
            return None;
        }
        // Of a status that cannot be read it is not known what a step would repeat.
        let status = observed.status.as_ref().ok()?;
        let nothing = || Verdict::Undecided("nothing was looked at yet".to_owned());
        let verdict = run.as_ref().and_then(|run| run.verdict(known.since()));
        let seen = Seen {
            name: &observed.name,
            generation: observed.generation,
            spec: observed.spec.as_ref().map_err(Clone::clone),
            status,
            command: observed.command.as_ref().and_then(|command| command.as_ref().ok()),
            holder: holder(observed, self.known.values().map(|known| &known.observed)),
            versions: versions.clone(),
            routing: known.routing(),
            verdict: verdict.unwrap_or_else(nothing),
        };
        let next = next(&seen, now);
        (next != *status).then(|| ReleaseWrite {
            name: observed.name.clone(),
            version: observed.version.clone(),
            status: next,
        })
    }
}

#[cfg(test)]
mod tests;
