//! One release as this process knows it.

use std::time::{Duration, Instant};

use etm_api::{RELEASE_COMMAND, ReleasePhase, ReleaseSpec, ReleaseStatus, Traffic};
use etm_model::{Problem, RouteReason};
use etm_release::{Routing, Versions};
use etm_source::kubernetes::ObservedRelease;
use k8s_openapi::jiff::Timestamp;

use super::analysis::Run;

/// How often a release without an analysis is looked at.
const INTERVAL: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Known {
    pub(super) observed: ObservedRelease,
    /// What becomes of what it routes.
    pub(super) routing: Routing,
    /// What was found when it was last looked at, by this process.
    pub(super) versions: Versions,
    pub(super) uncalled: Option<String>,
    pub(super) run: Option<Run>,
    /// When to look at it next; none while it is looked at.
    pub(super) due: Option<Instant>,
    /// The version that was written to: what became of that, the next version tells.
    pub(super) sent: Option<String>,
    pub(super) written: Option<Problem>,
    pub(super) unseen: Vec<Problem>,
}

impl Known {
    pub(super) fn new(observed: ObservedRelease, now: Instant) -> Self {
        Self {
            observed,
            routing: Routing::Unknown,
            versions: Versions::default(),
            uncalled: None,
            run: None,
            due: Some(now),
            sent: None,
            written: None,
            unseen: Vec::new(),
        }
    }

    /// Forgets what was found when it was looked at.
    pub(super) fn forget(&mut self) {
        (self.versions, self.uncalled, self.run) = (Versions::default(), None, None);
    }

    /// What becomes of its routes; before it has begun, of what they would be.
    pub(super) fn routing(&self) -> Routing {
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
    pub(super) fn spec(&self) -> Option<&ReleaseSpec> {
        let status = self.status()?;
        let begun = status.phase.is_some_and(|phase| phase != ReleasePhase::Pending);
        let own = self.observed.spec.as_ref().ok();
        if begun { status.spec.as_deref().or(own) } else { own }
    }

    /// Since when it is at its step, of one that has not come to its end in a roll-back.
    pub(super) fn since(&self) -> Option<Timestamp> {
        let status = self.status()?;
        if status.phase == Some(ReleasePhase::RolledBack) {
            return None;
        }
        status.step.and(status.since.as_ref()).map(|since| since.0)
    }

    pub(super) fn is_under_way(&self) -> bool {
        let phase = self.status().and_then(|status| status.phase);
        let settled = self
            .status()
            .is_none_or(|one| !matches!(one.traffic, Some(Traffic::Switched | Traffic::Returned)));
        // Where one is completed it may yet be undone, for which its versions are looked at.
        (phase != Some(ReleasePhase::RolledBack) || !settled) && !self.observed.deleting
    }

    pub(super) fn interval(&self) -> Duration {
        match self.status().and_then(|status| status.phase) {
            Some(ReleasePhase::Completed) => return 10 * INTERVAL,
            Some(ReleasePhase::Pending | ReleasePhase::RolledBack) => return INTERVAL,
            _ => {}
        }
        let analysis = self.spec().and_then(|spec| spec.analysis.as_ref());
        analysis.map_or(INTERVAL, |analysis| analysis.interval.get())
    }

    /// What of it cannot be read, the write that came to nothing, and what could not be looked at.
    pub(super) fn problems(&self) -> impl Iterator<Item = Problem> {
        let unseen = self.unseen.iter().filter(|_| self.is_under_way());
        self.unreadable().into_iter().chain(self.written.iter().chain(unseen).cloned())
    }

    fn unreadable(&self) -> Option<Problem> {
        let (field, reason, hint) = match (&self.observed.status, &self.observed.command) {
            (Err((field, reason)), _) => {
                let hint =
                    "it stays as it is until that is mended; delete it to call as without it";
                (field.clone(), reason.clone(), hint)
            }
            (Ok(_), Some(Err(reason))) => {
                let field = format!("metadata.annotations[{RELEASE_COMMAND}]");
                (field, reason.clone(), "nothing is done; ask by etm release")
            }
            _ => return None,
        };
        let object = format!("Release {}", self.observed.name);
        Some(Problem { object, field, reason, hint: hint.into() })
    }
}
