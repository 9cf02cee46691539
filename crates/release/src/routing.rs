//! What is said of a release of which nothing is routed.

use etm_api::ReleaseStatus;
use k8s_openapi::jiff::Timestamp;

use crate::{
    condition,
    seen::{Routing, Seen},
};

const ROUTED: &str = "Routed";

/// Between what a release does and why nothing comes of it.
const BUT: &str = "; but it is not routed: ";

/// Why not all of a release's Services are routed by it.
pub(crate) fn lost<'a>(seen: &'a Seen<'_>) -> Option<&'a str> {
    match &seen.routing {
        Routing::Fails { message, .. } => Some(message),
        Routing::Unknown | Routing::Counts(_) => None,
    }
}

/// Whether they are again, which the status does not say yet.
pub(crate) fn is_found(seen: &Seen<'_>) -> bool {
    let told = seen.status.conditions.iter().find(|condition| condition.type_ == ROUTED);
    matches!(seen.routing, Routing::Counts(_)) && told.is_some_and(|told| told.status == "False")
}

/// Adds to the message of a release that is under way why it is not routed, for as long as it is not.
pub(crate) fn tell(seen: &Seen<'_>, next: &mut ReleaseStatus) {
    let before = seen.status.message.split_once(BUT).map(|(_, why)| why);
    let why = match &seen.routing {
        Routing::Unknown => before,
        Routing::Counts(_) => None,
        Routing::Fails { message, .. } => Some(message.as_str()),
    };
    let own = next.message.split_once(BUT).map_or(next.message.as_str(), |(own, _)| own);
    next.message = why.map_or_else(|| own.to_owned(), |why| format!("{own}{BUT}{why}"));
}

/// Sets the condition; none where nothing is routed and nothing speaks against it.
pub(crate) fn set(seen: &Seen<'_>, next: &mut ReleaseStatus, now: Timestamp) {
    let (word, reason, message) = match &seen.routing {
        Routing::Fails { reason, message } => ("False", reason.as_str(), message),
        Routing::Counts(message) if next.traffic.is_some() => ("True", ROUTED, message),
        Routing::Unknown if next.traffic.is_some() => return,
        _ => return next.conditions.retain(|condition| condition.type_ != ROUTED),
    };
    condition::set(next, ROUTED, (word, reason, message), now);
}
