//! A release that has not begun.

use etm_api::{ReleasePhase, ReleaseSpec, ReleaseStatus, Traffic};
use k8s_openapi::{apimachinery::pkg::apis::meta::v1::MicroTime, jiff::Timestamp};

use crate::{
    command::obey,
    condition,
    machine::{PREPARATION, Run, enter, note, over, roll_back},
    routing,
    seen::{Presence, Routing, Seen, Versions},
};

/// Before a release has begun: what it waits for, until nothing is left to wait for.
pub(crate) fn pend(seen: &Seen<'_>, next: &mut ReleaseStatus, now: Timestamp) {
    next.phase = Some(ReleasePhase::Pending);
    if obey(seen, None, next, now) && next.phase == Some(ReleasePhase::RolledBack) {
        return;
    }
    let spec = match (&seen.spec, &seen.holder) {
        (Err((field, reason)), _) => {
            let message = format!("{field} {reason}");
            return refuse(next, "Invalid", &message, now);
        }
        (_, Some(holder)) => return refuse(next, "Held", holder, now),
        (Ok(spec), None) => *spec,
    };
    condition::set(next, "Accepted", ("True", "Accepted", "the release counts"), now);
    let both = seen.versions == Versions { stable: Presence::Present, new: Presence::Present };
    let lost = routing::lost(seen).filter(|_| both || next.traffic.is_none());
    match (lost, &seen.versions.stable, &seen.versions.new) {
        (Some(why), ..) => next.message = format!("waits until it is routed: {why}"),
        (None, Presence::Present, Presence::Present) => return begin(seen, next, spec, now),
        (None, Presence::Absent(which), _) => {
            // Whoever calls goes where it went before: there is no stable version to keep it at.
            wait_with(next, None, now);
            next.spec = None;
            next.message = format!("waits for the stable version: {which}");
        }
        (None, Presence::Present, Presence::Absent(which)) => {
            // Pods of the new version that the Service selects get no callers before they are asked.
            wait_with(next, Some(Traffic::Stable), now);
            next.spec = Some(Box::new(spec.clone()));
            next.message = format!("waits for the new version: {which}");
        }
        (None, Presence::Unknown, _) | (None, _, Presence::Unknown) => {
            "waits until its versions are known".clone_into(&mut next.message);
        }
    }
    let since = next.since.get_or_insert(MicroTime(now)).0;
    if over(since, spec.progress_deadline.get(), now) {
        let message = next.message.clone();
        roll_back(next, "ProgressDeadlineExceeded", &message, now);
    }
}

/// Both versions are there: every node is prepared, and once it is seen that what it routes counts, the
/// first step is entered.
fn begin(seen: &Seen<'_>, next: &mut ReleaseStatus, spec: &ReleaseSpec, now: Timestamp) {
    let same = next.spec.as_deref() == Some(spec);
    if next.traffic != Some(Traffic::Prepared) || !same || routing::is_found(seen) {
        (next.traffic, next.since) = (Some(Traffic::Prepared), Some(MicroTime(now)));
        next.spec = Some(Box::new(spec.clone()));
        "prepares every node, then begins".clone_into(&mut next.message);
        return;
    }
    let prepares = next.since.as_ref().is_some_and(|since| !over(since.0, PREPARATION, now));
    if prepares {
        return;
    }
    if seen.routing == Routing::Unknown {
        "waits until it is known whether it is routed".clone_into(&mut next.message);
        return;
    }
    let run = Run::at(spec, 0);
    next.steps = run.steps();
    enter(&run, 0, next, now);
    let message = next.message.clone();
    note(next, "Begun", &message, now);
}

/// A version is not there, or is not any more: then its time to come begins anew.
fn wait_with(next: &mut ReleaseStatus, traffic: Option<Traffic>, now: Timestamp) {
    if next.traffic == Some(Traffic::Prepared) {
        next.since = Some(MicroTime(now));
    }
    next.traffic = traffic;
}

/// Nothing is routed by it.
fn refuse(next: &mut ReleaseStatus, reason: &str, message: &str, now: Timestamp) {
    condition::set(next, "Accepted", ("False", reason, message), now);
    (next.traffic, next.spec, next.since) = (None, None, None);
    message.clone_into(&mut next.message);
}
