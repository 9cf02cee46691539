//! What agents route by a release.

use std::sync::Arc;

use etm_api::{ReleaseSpec, ReleaseStatus, ReleasedService, Traffic, Version};
use etm_model::{
    Action, CallerSelector, CallerShare, Destination, DestinationRef, ObjectName, Route, RouteKind,
    RouteOwner, RoutePort, Rule, Timestamp, hash,
};

use crate::{
    selector::{all_of, selector},
    stage::{Who, stages},
};

/// The routes of a release, one for each of its Services: a function of the spec that it began with
/// and of its status alone. None before it began.
///
/// Rules in order: Pods of the new version, as callers, reach the new version of every Service of the
/// release, and Pods of the stable version the stable one, so that a request stays with the version
/// that it has reached first. Then come callers that were chosen, then a share of connections or of
/// callers, then everyone else.
#[must_use]
pub fn routes(name: &ObjectName, created: Option<Timestamp>, status: &ReleaseStatus) -> Vec<Route> {
    let (Some(traffic), Some(spec)) = (status.traffic, status.spec.as_deref()) else {
        return Vec::new();
    };
    let step = status.step.and_then(|step| usize::try_from(step).ok()).unwrap_or_default();
    let owner = RouteOwner { kind: RouteKind::Release, name: name.clone() };
    let blue_green = spec.strategy.blue_green.as_ref();
    let ends = traffic == Traffic::New && blue_green.is_some_and(|one| one.end_old_connections);
    let services = spec.services.iter().enumerate();
    let routes = services.map(|(index, released)| {
        let to = To { release: name, spec, released, index };
        Route {
            owner: owner.clone(),
            created,
            field: format!("spec.services[{index}]").into(),
            target: sibling(name, &released.service),
            port: RoutePort::Every,
            protocol: None,
            consumers: None,
            rules: to.rules(traffic, step),
            abandons: ends.then(|| to.version("stable", &released.stable, 0)),
        }
    });
    routes.collect()
}

/// The Pods of a version of a Service, as callers.
#[must_use]
pub fn version_selector(
    release: &ObjectName,
    released: &ReleasedService,
    version: &Version,
) -> CallerSelector {
    let service = version.service.as_ref().unwrap_or(&released.service);
    CallerSelector {
        members_of: Some(sibling(release, service)),
        pod_labels: version.labels.as_ref().map(all_of),
        ..CallerSelector::default()
    }
}

/// A Service and the two ways that its callers may go.
struct To<'a> {
    release: &'a ObjectName,
    spec: &'a ReleaseSpec,
    released: &'a ReleasedService,
    index: usize,
}

impl To<'_> {
    fn rules(&self, traffic: Traffic, step: usize) -> Vec<Rule> {
        match traffic {
            Traffic::Stable => vec![self.rule("everyone", Vec::new(), None, 0)],
            Traffic::New => vec![self.rule("everyone", Vec::new(), None, 100)],
            Traffic::Switched => self.step(Who::Everyone, &[]),
            Traffic::Prepared | Traffic::Returned => self.step(Who::Callers(&[]), &[]),
            Traffic::Step => {
                let stages = stages(&self.spec.strategy);
                let upto = stages.get(..=step.min(stages.len().saturating_sub(1)));
                let upto = upto.unwrap_or_default();
                let Some((stage, before)) = upto.split_last() else { return Vec::new() };
                let before: Vec<_> = before.iter().map(|stage| stage.who).collect();
                self.step(stage.who, &before)
            }
        }
    }

    fn step(&self, who: Who<'_>, before: &[Who<'_>]) -> Vec<Rule> {
        let cohort = |version: fn(&ReleasedService) -> &Version| {
            let services = self.spec.services.iter();
            services.map(|one| version_selector(self.release, one, version(one))).collect()
        };
        let mut rules = vec![
            self.rule("callers of the new version", cohort(|one| &one.new), None, 100),
            self.rule("callers of the stable version", cohort(|one| &one.stable), None, 0),
        ];
        let chosen = before.iter().chain([&who]).filter_map(|who| match who {
            Who::Callers(callers) => Some(callers.iter().map(selector)),
            _ => None,
        });
        let chosen: Vec<_> = chosen.flatten().collect();
        if !chosen.is_empty() {
            rules.push(self.rule("chosen callers", chosen, None, 100));
        }
        let rest = match who {
            Who::Everyone => 100,
            Who::Weight(weight) => weight,
            Who::Percent(percent) => {
                let salt = hash(&self.release.to_string());
                let share = CallerShare { parts: percent * (CallerShare::WHOLE / 100), salt };
                rules.push(self.rule("share of callers", Vec::new(), Some(share), 100));
                0
            }
            Who::Callers(_) => 0,
        };
        rules.push(self.rule("everyone else", Vec::new(), None, rest));
        rules
    }

    /// A rule that sends so many percent to the new version, and the rest to the stable one.
    fn rule(
        &self,
        name: &str,
        from: Vec<CallerSelector>,
        share: Option<CallerShare>,
        new: u32,
    ) -> Rule {
        let Self { released, .. } = self;
        let stable = 100 - new.min(100);
        let to = [("new", &released.new, new), ("stable", &released.stable, stable)];
        let to = to.into_iter().filter(|(_, _, weight)| *weight > 0);
        let to = to.map(|(field, version, weight)| self.version(field, version, weight));
        Rule {
            name: name.into(),
            field: "spec.strategy".into(),
            from,
            share,
            action: Action::Forward(to.collect()),
        }
    }

    fn version(&self, field: &str, version: &Version, weight: u32) -> Destination {
        let field = format!("spec.services[{}].{field}", self.index).into();
        Destination { field, weight, to: self.destination(version) }
    }

    fn destination(&self, version: &Version) -> DestinationRef {
        match (&version.service, &version.labels) {
            (Some(service), _) => DestinationRef::Service {
                name: sibling(self.release, service),
                port: RoutePort::Every,
            },
            (None, labels) => {
                DestinationRef::Subset(labels.as_ref().map(all_of).unwrap_or_default())
            }
        }
    }
}

/// A Service of the release's namespace.
fn sibling(release: &ObjectName, service: &str) -> ObjectName {
    ObjectName { namespace: Arc::clone(&release.namespace), name: service.into() }
}
