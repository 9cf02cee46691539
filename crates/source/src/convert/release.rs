//! `Release`: for agents what they route by it, which its status says; for the controller all of it.

use etm_api::{ReleaseSpec, ReleaseStatus, Traffic, UncheckedRelease};
use etm_model::{ObjectName, Problem, Route, RouteKind, RouteOwner, Timestamp};

use super::{Converted, fields, metadata::Identity, report::Report};

/// What an object says of who calls what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routes {
    /// The object.
    pub owner: RouteOwner,
    /// Its routes; none where it says nothing yet.
    pub routes: Vec<Route>,
}

/// Converts a `Release` to what is routed by it. One whose status cannot be read is routed as before;
/// its spec counts only where the status has none, as in a directory of manifests.
#[must_use]
pub fn release(object: &UncheckedRelease) -> Converted<Routes> {
    let Identity { name, created } = match Identity::namespaced("Release", &object.metadata) {
        Ok(identity) => identity,
        Err(problems) => return Converted::refused(problems),
    };
    let mut report = Report::on(format!("Release {name}"));
    let routes = match status(object) {
        Ok(status) => routed(&name, created, &status, || match release_spec(object) {
            Ok(spec) => Some(spec),
            Err((field, reason)) => {
                report.add(field, reason, HINT);
                None
            }
        }),
        Err((field, reason)) => {
            report.add(field, reason, HINT);
            Vec::new()
        }
    };
    let problems: Vec<Problem> = report.finish();
    let stays = (!problems.is_empty()).then(|| name.clone());
    let owner = RouteOwner { kind: RouteKind::Release, name };
    let object = problems.is_empty().then_some(Routes { owner, routes });
    Converted { object, created, proxy: None, problems, stays }
}

/// What is routed by a status, and where that has no spec, as in a directory of manifests, by the object's
/// own.
pub(crate) fn routed(
    name: &ObjectName,
    created: Option<Timestamp>,
    status: &ReleaseStatus,
    own: impl FnOnce() -> Option<ReleaseSpec>,
) -> Vec<Route> {
    if status.traffic.is_none() || status.spec.is_some() {
        return etm_release::routes(name, created, status);
    }
    let status = ReleaseStatus { spec: own().map(Box::new), ..status.clone() };
    etm_release::routes(name, created, &status)
}

/// A release of which nothing is routed yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unbegun {
    /// Its name.
    pub name: ObjectName,
    /// `metadata.creationTimestamp`.
    pub created: Option<Timestamp>,
    /// What it is to do.
    pub spec: ReleaseSpec,
}

/// A release that has not begun; `None` where something is routed by it, or it cannot be read.
pub(crate) fn unbegun(object: &UncheckedRelease) -> Option<Converted<Unbegun>> {
    // What cannot be read may say anything.
    if status(object).map_or(true, |status| status.traffic.is_some()) {
        return None;
    }
    let Identity { name, created } = Identity::namespaced("Release", &object.metadata).ok()?;
    let mut report = Report::on(format!("Release {name}"));
    let spec = match release_spec(object) {
        Ok(spec) => Some(spec),
        Err((field, reason)) => {
            report.add(field, reason, "correct it; nothing is routed by it until then");
            None
        }
    };
    let problems = report.finish();
    let object = spec.map(|spec| Unbegun { name, created, spec });
    Some(Converted { object, created, proxy: None, problems, stays: None })
}

impl Unbegun {
    /// What is routed at one of its steps, counted from 0; none where it has no such step.
    #[must_use]
    pub fn at(&self, step: usize) -> Option<Routes> {
        if step >= self.steps() {
            return None;
        }
        let status = ReleaseStatus {
            traffic: Some(Traffic::Step),
            step: i32::try_from(step).ok(),
            spec: Some(Box::new(self.spec.clone())),
            ..ReleaseStatus::default()
        };
        Some(Routes {
            owner: self.owner(),
            routes: etm_release::routes(&self.name, self.created, &status),
        })
    }

    /// How many steps it has, that at which everyone reaches the new version included.
    #[must_use]
    pub fn steps(&self) -> usize {
        etm_release::stages(&self.spec.strategy).len()
    }

    /// As the owner of routes.
    #[must_use]
    pub fn owner(&self) -> RouteOwner {
        RouteOwner { kind: RouteKind::Release, name: self.name.clone() }
    }
}

const HINT: &str = "correct it; until then callers are routed as before";

/// The spec of a release, checked, or field and reason of what is wrong with it.
///
/// # Errors
///
/// The first thing that is wrong.
pub(crate) fn release_spec(object: &UncheckedRelease) -> Result<ReleaseSpec, (String, String)> {
    if object.spec.is_null() {
        return Err(("spec".to_owned(), "is missing".to_owned()));
    }
    let mut unknown = Vec::new();
    let spec: ReleaseSpec = fields::read("spec", &object.spec, &mut unknown)?;
    if let Some(field) = unknown.pop() {
        return Err((field, "is not known".to_owned()));
    }
    etm_release::check(&spec)?;
    Ok(spec)
}

/// The status of a release; an empty one where there is none.
///
/// # Errors
///
/// Field and reason where it cannot be read.
pub(crate) fn status(object: &UncheckedRelease) -> Result<ReleaseStatus, (String, String)> {
    if object.status.is_null() {
        return Ok(ReleaseStatus::default());
    }
    fields::read("status", &object.status, &mut Vec::new())
}
