//! What people ask of a release.

use etm_api::{CommandVerb, ReleaseCommand, ReleaseCommandResult, ReleasePhase, ReleaseStatus};
use k8s_openapi::jiff::Timestamp;

use crate::{
    machine::{Run, advance, roll_back},
    routing,
    seen::Seen,
};

/// Does what is asked, once: true where there was something new, done or not.
pub(crate) fn obey(
    seen: &Seen<'_>,
    run: Option<&Run<'_>>,
    next: &mut ReleaseStatus,
    now: Timestamp,
) -> bool {
    let Some(command) = seen.command else { return false };
    if seen.status.command.as_ref().is_some_and(|last| last.id == command.id) {
        return false;
    }
    let outcome = perform(command, seen, run, next, now);
    let done = outcome.is_ok();
    let message = outcome.unwrap_or_else(|why| why);
    next.command = Some(ReleaseCommandResult { id: command.id.clone(), done, message });
    true
}

fn perform(
    command: &ReleaseCommand,
    seen: &Seen<'_>,
    run: Option<&Run<'_>>,
    next: &mut ReleaseStatus,
    now: Timestamp,
) -> Result<String, String> {
    let phase = seen.status.phase.unwrap_or(ReleasePhase::Pending);
    if command.step.is_some() && command.step != seen.status.step {
        let at = seen.status.step.map_or("no step".to_owned(), |step| format!("step {step}"));
        return Err(format!("it is at {at} by now; look at it, and ask again"));
    }
    match (command.verb, phase) {
        (_, ReleasePhase::RolledBack) => {
            Err("it is rolled back already; make another release to try again".to_owned())
        }
        (CommandVerb::Abort, ReleasePhase::Completed) => {
            Err("it is completed; etm release undo sends everyone back".to_owned())
        }
        (CommandVerb::Promote | CommandVerb::Pause, ReleasePhase::Completed) => {
            Err("it is completed".to_owned())
        }
        (CommandVerb::Promote | CommandVerb::Pause, ReleasePhase::Pending) => {
            Err("it has not begun".to_owned())
        }
        (CommandVerb::Abort | CommandVerb::Undo, _) => {
            let reason = if command.verb == CommandVerb::Abort { "Aborted" } else { "Undone" };
            if phase != ReleasePhase::Pending && seen.versions.stable.is_absent() {
                return Err(
                    "the stable version has no ready endpoint to go back to; give it some, \
                            or delete the release"
                        .to_owned(),
                );
            }
            roll_back(next, reason, "somebody asked for it", now);
            Ok("everyone goes to the stable version".to_owned())
        }
        (CommandVerb::Promote, _) => match (routing::lost(seen), run) {
            (Some(why), _) => Err(format!("nobody would be led on, since it is not routed: {why}")),
            (None, Some(run)) => {
                advance(run, next, "somebody promoted it", now);
                Ok(next.message.clone())
            }
            (None, None) => {
                Err("the status has lost the spec that it began with; delete it".to_owned())
            }
        },
        (CommandVerb::Pause, ReleasePhase::Paused) => Err("it waits already".to_owned()),
        (CommandVerb::Pause, _) => {
            next.phase = Some(ReleasePhase::Paused);
            "waits until it is promoted (etm release promote)".clone_into(&mut next.message);
            crate::machine::note(next, "Paused", "somebody asked for it", now);
            Ok("it stays where it is until it is promoted".to_owned())
        }
    }
}
