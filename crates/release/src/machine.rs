//! The next status of a release.

use std::time::Duration;

use etm_api::{ReleaseEvent, ReleasePhase, ReleaseSpec, ReleaseStatus, Traffic};
use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff::{SignedDuration, Timestamp},
};

use crate::{
    command::obey,
    condition,
    judge::Verdict,
    pending::pend,
    routing,
    seen::{Presence, Routing, Seen},
    stage::{Stage, Wait, Who, stages},
};

/// Events that a status has room for.
const EVENTS: usize = 32;

/// How long every node has to take in which version the Pods of each call, before anybody is led to the
/// other one: a request that one node sends there is kept there by the next.
pub(crate) const PREPARATION: Duration = Duration::from_secs(2);

/// A release that has begun, by the spec that it began with.
pub(crate) struct Run<'a> {
    spec: &'a ReleaseSpec,
    stages: Vec<Stage<'a>>,
    step: usize,
}

impl<'a> Run<'a> {
    /// One that is at a step.
    pub(crate) fn at(spec: &'a ReleaseSpec, step: usize) -> Self {
        Self { spec, stages: stages(&spec.strategy), step }
    }

    /// How many steps it has.
    pub(crate) fn steps(&self) -> Option<i32> {
        i32::try_from(self.stages.len()).ok()
    }

    /// Whether a step leads nobody to the new version, of whose connections alone the analysis would
    /// tell.
    fn cannot_be_judged(&self) -> bool {
        let queries = self.spec.analysis.as_ref().is_some_and(|asked| !asked.queries.is_empty());
        !queries && self.stages.get(self.step).is_some_and(|stage| stage.who.is_nobody())
    }
}

/// The status that follows from what is seen: the same where nothing is to be done. It goes on by at
/// most one step, and whoever writes it must replace the very version that was seen; so none is
/// skipped or repeated, whoever dies when.
#[must_use]
pub fn next(seen: &Seen<'_>, now: Timestamp) -> ReleaseStatus {
    let mut next = seen.status.clone();
    next.observed_generation = seen.generation;
    match seen.status.phase.unwrap_or(ReleasePhase::Pending) {
        ReleasePhase::Pending => pend(seen, &mut next, now),
        ReleasePhase::Progressing | ReleasePhase::Paused | ReleasePhase::Holding => {
            go_on(seen, &mut next, now);
            let over = [Some(ReleasePhase::Completed), Some(ReleasePhase::RolledBack)];
            if !over.contains(&next.phase) {
                routing::tell(seen, &mut next);
            }
        }
        ReleasePhase::Completed | ReleasePhase::RolledBack => {
            obey(seen, None, &mut next, now);
            accept(seen, &mut next, now);
            settle(&mut next, now);
        }
    }
    routing::set(seen, &mut next, now);
    progress(&mut next, now);
    next
}

fn go_on(seen: &Seen<'_>, next: &mut ReleaseStatus, now: Timestamp) {
    // The one that it began with; of a status that somebody cut, the other must do.
    let own = seen.spec.as_ref().ok().copied();
    let Some(spec) = seen.status.spec.as_deref().or(own) else { return };
    let step = seen.status.step.and_then(|step| usize::try_from(step).ok()).unwrap_or_default();
    let run = Run::at(spec, step);
    accept(seen, next, now);
    if obey(seen, Some(&run), next, now) {
        return;
    }
    let Some(stage) = run.stages.get(run.step) else { return };
    if spec.analysis.is_some() {
        let (word, reason, message) = match &seen.verdict {
            Verdict::Undecided(why) => ("Unknown", "Undecided", why),
            Verdict::Passed(why) => ("True", "Passed", why),
            Verdict::Failed(why) => ("False", "Failed", why),
        };
        condition::set(next, "Healthy", (word, reason, message), now);
    }
    let waits = seen.status.phase == Some(ReleasePhase::Paused);
    let since = seen.status.since.as_ref().map_or(now, |since| since.0);
    let pause = match stage.wait {
        Wait::Time(time) => time,
        Wait::Nothing | Wait::Promotion => Duration::ZERO,
    };
    let late = pause.saturating_add(spec.progress_deadline.get());
    let holds = stage.who == Who::Everyone;
    let bad = if let Presence::Absent(which) = &seen.versions.new {
        ("NewVersionGone", which.clone())
    } else if let Verdict::Failed(why) = &seen.verdict {
        ("AnalysisFailed", why.clone())
    } else if waits || !over(since, pause, now) {
        return;
    } else if let Some(why) = passes(&run, seen, holds) {
        return advance(&run, next, why, now);
    } else if (!holds || routing::lost(seen).is_some()) && over(since, late, now) {
        let why = match (routing::lost(seen), &seen.verdict) {
            (Some(why), _) => &format!("it is not routed: {why}"),
            (None, Verdict::Undecided(why)) => why,
            (None, _) => "a version is not there",
        };
        ("ProgressDeadlineExceeded", format!("step {step} did not end in time: {why}"))
    } else {
        next.message = match &seen.versions.stable {
            Presence::Absent(which) if !holds => format!("waits for the stable version: {which}"),
            _ => stage.told(),
        };
        return;
    };
    let (reason, why) = bad;
    if seen.versions.stable.is_absent() {
        // Everyone at a version that is not there would be worse.
        next.message = format!("{reason}: {why}; but there is no stable version to go back to");
    } else {
        roll_back(next, reason, &why, now);
    }
}

/// Goes on with a roll-back: once every node is prepared for it, everyone returns, and what is kept for
/// requests that were under way is ended.
fn settle(next: &mut ReleaseStatus, now: Timestamp) {
    let is_over = |next: &ReleaseStatus, time| {
        next.since.as_ref().is_none_or(|since| over(since.0, time, now))
    };
    if next.phase != Some(ReleasePhase::RolledBack) {
        return;
    }
    if next.traffic == Some(Traffic::Switched) && is_over(next, PREPARATION) {
        (next.traffic, next.since) = (Some(Traffic::Returned), Some(MicroTime(now)));
        return;
    }
    if next.traffic != Some(Traffic::Returned) {
        return;
    }
    let stages = next.spec.as_ref().map(|spec| stages(&spec.strategy)).unwrap_or_default();
    let hold = match stages.last().map(|stage| stage.wait) {
        Some(Wait::Time(hold)) => hold,
        _ => Duration::ZERO,
    };
    if is_over(next, hold) {
        next.traffic = Some(Traffic::Stable);
    }
}

/// Why a step whose time is over may end, if it may: the analysis has passed, or while it holds has not
/// failed, what it routes counts, and the versions that callers need are there.
fn passes<'a>(run: &Run<'_>, seen: &'a Seen<'_>, holds: bool) -> Option<&'a str> {
    let why = match &seen.verdict {
        _ if run.spec.analysis.is_none() => "",
        Verdict::Passed(why) => why,
        Verdict::Undecided(why) if holds || run.cannot_be_judged() => why,
        _ => return None,
    };
    let there = seen.versions.new == Presence::Present
        && (holds || seen.versions.stable == Presence::Present);
    (there && matches!(seen.routing, Routing::Counts(_))).then_some(why)
}

/// To the next step, or to the end.
pub(crate) fn advance(run: &Run<'_>, next: &mut ReleaseStatus, why: &str, now: Timestamp) {
    let step = run.step + 1;
    if step < run.stages.len() {
        enter(run, step, next, now);
        let reason = if next.traffic == Some(Traffic::Switched) { "Switched" } else { "Stepped" };
        let message = join(&next.message, why);
        return note(next, reason, &message, now);
    }
    (next.phase, next.traffic) = (Some(ReleasePhase::Completed), Some(Traffic::New));
    "everyone reaches the new version; move the Services to it, then delete the release"
        .clone_into(&mut next.message);
    note(next, "Completed", why, now);
}

/// To a step.
pub(crate) fn enter(run: &Run<'_>, step: usize, next: &mut ReleaseStatus, now: Timestamp) {
    let Some(stage) = run.stages.get(step) else { return };
    next.step = i32::try_from(step).ok();
    next.since = Some(MicroTime(now));
    next.conditions.retain(|condition| condition.type_ != "Healthy");
    let everyone = stage.who == Who::Everyone;
    next.traffic = Some(if everyone { Traffic::Switched } else { Traffic::Step });
    next.phase = Some(match stage.wait {
        Wait::Promotion => ReleasePhase::Paused,
        _ if everyone => ReleasePhase::Holding,
        _ => ReleasePhase::Progressing,
    });
    next.message = stage.told();
}

/// Everyone to the stable version again; of a release that never routed, nothing. Pods of the new
/// version that callers have reached go on calling the new one, for requests that are under way.
pub(crate) fn roll_back(next: &mut ReleaseStatus, reason: &str, why: &str, now: Timestamp) {
    next.traffic = next.traffic.map(|traffic| match traffic {
        Traffic::Stable => Traffic::Stable,
        Traffic::New => Traffic::Switched,
        _ => Traffic::Returned,
    });
    next.since = Some(MicroTime(now));
    next.phase = Some(ReleasePhase::RolledBack);
    next.message = format!("{reason}: {why}");
    note(next, reason, why, now);
}

pub(crate) fn note(next: &mut ReleaseStatus, reason: &str, message: &str, now: Timestamp) {
    let (step, reason, message) = (next.step, reason.to_owned(), message.to_owned());
    next.history.push(ReleaseEvent { time: MicroTime(now), step, reason, message });
    let many = next.history.len().saturating_sub(EVENTS);
    next.history.drain(..many);
}

fn accept(seen: &Seen<'_>, next: &mut ReleaseStatus, now: Timestamp) {
    let edited = match (&seen.spec, &seen.status.spec) {
        (Ok(spec), Some(begun)) => **begun != **spec,
        (Err(_), _) => true,
        (Ok(_), None) => false,
    };
    let told = if edited && seen.status.spec.is_some() {
        let message = "the spec was edited after it had begun; what it began with counts: undo the \
                       edit, or delete the release and make another";
        ("True", "EditIgnored", message)
    } else {
        ("True", "Accepted", "the release counts")
    };
    condition::set(next, "Accepted", told, now);
}

fn progress(next: &mut ReleaseStatus, now: Timestamp) {
    let (word, reason) = match next.phase {
        Some(ReleasePhase::Progressing) => ("True", "Progressing"),
        Some(ReleasePhase::Holding) => ("True", "Holding"),
        Some(ReleasePhase::Paused) => ("False", "Paused"),
        Some(ReleasePhase::Completed) => ("False", "Completed"),
        Some(ReleasePhase::RolledBack) => ("False", "RolledBack"),
        Some(ReleasePhase::Pending) | None => ("False", "Pending"),
    };
    let message = next.message.clone();
    condition::set(next, "Progressing", (word, reason, &message), now);
}

/// Whether so much time has passed.
pub(crate) fn over(since: Timestamp, time: Duration, now: Timestamp) -> bool {
    let time = SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX);
    now.duration_since(since) >= time
}

fn join(message: &str, why: &str) -> String {
    if why.is_empty() { message.to_owned() } else { format!("{message} ({why})") }
}
