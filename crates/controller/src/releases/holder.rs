use etm_api::{ReleasePhase, ReleaseSpec};
use etm_source::kubernetes::ObservedRelease;

/// Another release that holds one of a release's Services, in words. Who routes holds; among those that
/// do not yet, the older one, so that two that were made at once do not wait for one another.
pub(super) fn holder<'a>(
    release: &ObservedRelease,
    all: impl Iterator<Item = &'a ObservedRelease>,
) -> Option<String> {
    let services = |one: &'a ObservedRelease| spec(one).map(|spec| &spec.services);
    let own = release.spec.as_ref().ok()?;
    let mut others = all.filter(|other| {
        other.name.namespace == release.name.namespace && other.name != release.name
    });
    others.find_map(|other| {
        let shared = services(other)?
            .iter()
            .find(|service| own.services.iter().any(|own| own.service == service.service))?;
        let status = other.status.as_ref().ok()?;
        let routes = status.traffic.is_some();
        let over = matches!(status.phase, Some(ReleasePhase::Completed | ReleasePhase::RolledBack));
        let age =
            |one: &ObservedRelease| (one.created.is_none(), one.created, one.name.name.to_string());
        if !routes && (over || age(release) < age(other)) {
            return None;
        }
        let hint = if over {
            "it is over: move the Service to the version that it is to have, then delete it"
        } else {
            "wait for its end and delete it, or abort it"
        };
        Some(format!("Release {} holds Service {}; {hint}", other.name, shared.service))
    })
}

fn spec(release: &ObservedRelease) -> Option<&ReleaseSpec> {
    let begun = release.status.as_ref().ok().and_then(|status| status.spec.as_deref());
    begun.or(release.spec.as_ref().ok())
}
