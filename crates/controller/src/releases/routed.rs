use std::{collections::BTreeMap, sync::Arc};

use etm_model::{ObjectName, Route, RouteCondition, RouteKind, RouteOwner, RouteReason, Snapshot};
use etm_release::Routing;
use etm_source::kubernetes::ObservedRelease;

/// The routes of releases as they were last judged.
#[derive(Debug, Default)]
pub(super) struct Routed(BTreeMap<ObjectName, Judged>);

#[derive(Debug)]
struct Judged {
    routes: Arc<[Route]>,
    /// One for each of the routes.
    conditions: Vec<RouteCondition>,
}

impl Routed {
    /// The routes of all releases, and what becomes of them.
    pub(super) fn new(
        snapshot: &Snapshot,
        conditions: &BTreeMap<RouteOwner, Vec<RouteCondition>>,
    ) -> Self {
        let releases = conditions.iter().filter(|(owner, _)| owner.kind == RouteKind::Release);
        let judged = releases.filter_map(|(owner, conditions)| {
            let routes = Arc::clone(snapshot.routes.get(owner)?);
            Some((owner.name.clone(), Judged { routes, conditions: conditions.clone() }))
        });
        Self(judged.collect())
    }

    /// What becomes of what a release routes by its status; unknown where other routes were judged.
    pub(super) fn routing(&self, release: &ObservedRelease) -> Routing {
        let judged = self.0.get(&release.name);
        let judged = judged.filter(|judged| *judged.routes == *release.routes());
        judged.map_or(Routing::Unknown, |judged| routing(&judged.conditions))
    }
}

fn routing(conditions: &[RouteCondition]) -> Routing {
    let mut failing = conditions.iter().filter_map(failing).peekable();
    if let Some((reason, _)) = failing.peek() {
        let reason = reason.name().to_owned();
        return Routing::Fails { reason, message: joined(failing.map(|(_, message)| message)) };
    }
    let lacking = conditions.iter().map(|condition| &condition.resolved_refs);
    let lacking = lacking.filter(|status| status.reason == RouteReason::PortNotFound);
    let counts = conditions.iter().map(|condition| &condition.accepted);
    Routing::Counts(joined(counts.chain(lacking).map(|status| status.message.as_str())))
}

/// Why a route leads nobody to one of the versions, at whatever port.
fn failing(condition: &RouteCondition) -> Option<(RouteReason, &str)> {
    let RouteCondition { accepted, resolved_refs, portless } = condition;
    if !accepted.status() {
        return Some((accepted.reason, &accepted.message));
    }
    (!portless.is_empty()).then_some((RouteReason::PortNotFound, resolved_refs.message.as_str()))
}

fn joined<'a>(messages: impl Iterator<Item = &'a str>) -> String {
    messages.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
pub(super) mod tests;
