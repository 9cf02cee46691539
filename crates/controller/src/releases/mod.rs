//! What the status of each release is to be; pure.

mod analysis;
mod holder;
mod routed;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use etm_api::{ReleasePhase, ReleaseSpec, ReleaseStatus, Traffic};
use etm_model::{ObjectName, Problem, RouteCondition, RouteOwner, RouteReason, Snapshot};
use etm_release::{Routing, Seen, Verdict, Versions, next};
use etm_source::kubernetes::{ObservedRelease, ReleaseUpdate};
use k8s_openapi::jiff::Timestamp;

use crate::{
    gather::{Gathered, ReleaseAsk},
    release_write::ReleaseWrite,
    write::Outcome,
};

use self::{analysis::Run, holder::holder, routed::Routed};

/// How often a release without an analysis is looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// All releases of the cluster.
#[derive(Debug, Default)]
pub struct Releases {
    known: BTreeMap<ObjectName, Known>,
    routed: Routed,
}

#[derive(Debug)]
struct Known {
    observed: ObservedRelease,
    /// What becomes of what it routes.
    routing: Routing,
    /// What was found when it was last looked at, by this process.
    versions: Versions,
    uncalled: Option<String>,
    run: Option<Run>,
    /// When to look at it next; none while it is looked at.
    due: Option<Instant>,
    /// The version that was written to: what became of that, the next version tells.
    sent: Option<String>,
    written: Option<Problem>,
    unseen: Vec<Problem>,
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
        let known = self.known.entry(observed.name.clone()).or_insert_with(|| Known {
            observed: observed.clone(),
            routing: Routing::Unknown,
            versions: Versions::default(),
            uncalled: None,
            run: None,
            due: Some(now),
            sent: None,
            written: None,
            unseen: Vec::new(),
        });
        if known.observed.uid != observed.uid {
            (known.versions, known.uncalled, known.run) = (Versions::default(), None, None);
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
            (known.versions, known.uncalled, known.run) = (Versions::default(), None, None);
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

    /// The writes that came to nothing, and what could not be looked at.
    pub fn problems(&self) -> impl Iterator<Item = Problem> {
        self.known.values().flat_map(|known| {
            let unseen = known.unseen.iter().filter(|_| known.is_under_way());
            known.written.iter().chain(unseen).cloned()
        })
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
            command: observed.command.as_ref(),
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

impl Known {
    /// What becomes of its routes; before it has begun, of what they would be.
    fn routing(&self) -> Routing {
        match (&self.uncalled, &self.routing) {
            (Some(message), Routing::Unknown | Routing::Fails { .. }) => Routing::Fails {
                reason: RouteReason::TargetNotFound.name().to_owned(),
                message: message.clone(),
            },
            (_, routing) => routing.clone(),
        }
    }

    fn status(&self) -> Option<&ReleaseStatus> {
        self.observed.status.as_ref().ok()
    }

    /// The spec that it began with; before that, the one that it has.
    fn spec(&self) -> Option<&ReleaseSpec> {
        let status = self.status()?;
        let begun = status.phase.is_some_and(|phase| phase != ReleasePhase::Pending);
        let own = self.observed.spec.as_ref().ok();
        if begun { status.spec.as_deref().or(own) } else { own }
    }

    /// Since when it is at its step, of one that has not come to its end in a roll-back.
    fn since(&self) -> Option<Timestamp> {
        let status = self.status()?;
        if status.phase == Some(ReleasePhase::RolledBack) {
            return None;
        }
        status.step.and(status.since.as_ref()).map(|since| since.0)
    }

    fn is_under_way(&self) -> bool {
        let phase = self.status().and_then(|status| status.phase);
        let settled = self
            .status()
            .is_none_or(|one| !matches!(one.traffic, Some(Traffic::Switched | Traffic::Returned)));
        // Where one is completed it may yet be undone, for which its versions are looked at.
        (phase != Some(ReleasePhase::RolledBack) || !settled) && !self.observed.deleting
    }

    fn interval(&self) -> Duration {
        match self.status().and_then(|status| status.phase) {
            Some(ReleasePhase::Completed) => return 10 * INTERVAL,
            Some(ReleasePhase::Pending | ReleasePhase::RolledBack) => return INTERVAL,
            _ => {}
        }
        let analysis = self.spec().and_then(|spec| spec.analysis.as_ref());
        analysis.map_or(INTERVAL, |analysis| analysis.interval.get())
    }
}

#[cfg(test)]
mod tests;
