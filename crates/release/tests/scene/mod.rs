//! A release of two Services, and a clock.

use etm_api::{CommandVerb, ReleaseCommand, ReleasePhase, ReleaseSpec, ReleaseStatus, Traffic};
use etm_model::{Action, DestinationRef, ObjectName, Route};
use etm_release::{Presence, Routing, Seen, Verdict, Versions, next, routes};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

pub(crate) struct Scene {
    pub(crate) name: ObjectName,
    pub(crate) spec: ReleaseSpec,
    pub(crate) generation: i64,
    pub(crate) status: ReleaseStatus,
    pub(crate) command: Option<ReleaseCommand>,
    pub(crate) holder: Option<String>,
    pub(crate) versions: Versions,
    pub(crate) routing: Routing,
    pub(crate) verdict: Verdict,
    pub(crate) now: Timestamp,
    commands: u32,
}

/// One by Services of the versions, one by labels.
fn services() -> Value {
    json!([
        {"service": "a", "stable": {"service": "a-stable"}, "new": {"service": "a-new"}},
        {
            "service": "b",
            "stable": {"labels": {"version": "stable"}},
            "new": {"labels": {"version": "new"}}
        },
    ])
}

pub(crate) fn canary(steps: &Value) -> Value {
    json!({"services": services(), "strategy": {"canary": {"steps": steps}}})
}

pub(crate) fn blue_green(blue_green: &Value) -> Value {
    json!({"services": services(), "strategy": {"blueGreen": blue_green}})
}

impl Scene {
    pub(crate) fn new(spec: Value) -> Self {
        let spec: ReleaseSpec = serde_json::from_value(spec).unwrap();
        etm_release::check(&spec).unwrap();
        Self {
            name: ObjectName::new("shop", "two"),
            spec,
            generation: 1,
            status: ReleaseStatus::default(),
            command: None,
            holder: None,
            versions: Versions { stable: Presence::Present, new: Presence::Present },
            routing: Routing::Counts("counts".to_owned()),
            verdict: Verdict::Undecided("nothing was seen".to_owned()),
            now: Timestamp::from_second(1_800_000_000).unwrap(),
            commands: 0,
        }
    }

    pub(crate) fn later(&self, seconds: i64) -> Timestamp {
        self.now + SignedDuration::from_secs(seconds)
    }

    pub(crate) fn versions(&mut self, stable: Presence, new: Presence) {
        self.versions = Versions { stable, new };
    }

    pub(crate) fn ask(&mut self, verb: CommandVerb) {
        self.commands += 1;
        let (id, step) = (self.commands.to_string(), self.status.step);
        self.command = Some(ReleaseCommand { id, verb, step });
    }

    pub(crate) fn next(&self) -> ReleaseStatus {
        let seen = Seen {
            name: &self.name,
            generation: Some(self.generation),
            spec: Ok(&self.spec),
            status: &self.status,
            command: self.command.as_ref(),
            holder: self.holder.clone(),
            versions: self.versions.clone(),
            routing: self.routing.clone(),
            verdict: self.verdict.clone(),
        };
        next(&seen, self.now)
    }

    /// So many seconds later, the controller looks and writes.
    pub(crate) fn look(&mut self, seconds: i64) {
        self.now = self.later(seconds);
        self.status = self.next();
    }

    /// Both versions are there, and every node is prepared.
    pub(crate) fn begin(&mut self) {
        self.look(0);
        assert_eq!(self.at(), (ReleasePhase::Pending, Some(Traffic::Prepared), None));
        self.look(2);
    }

    pub(crate) fn at(&self) -> (ReleasePhase, Option<Traffic>, Option<i32>) {
        (self.status.phase.unwrap(), self.status.traffic, self.status.step)
    }

    pub(crate) fn condition(&self, of: &str) -> (String, String) {
        let condition = self.status.conditions.iter().find(|one| one.type_ == of).unwrap();
        (condition.status.clone(), condition.reason.clone())
    }

    pub(crate) fn routes(&self) -> Vec<Route> {
        routes(&self.name, Some(1), &self.status)
    }

    /// Every rule of every route leads to this version, but for that of Pods of the new one.
    pub(crate) fn leads_only_to(&self, version: &str) {
        let routes = self.routes();
        let rules = routes.iter().flat_map(|route| &route.rules);
        for rule in rules.filter(|rule| &*rule.name != "callers of the new version") {
            let Action::Forward(to) = &rule.action else { panic!("{rule:?}") };
            for destination in to {
                let told = match &destination.to {
                    DestinationRef::Service { name, .. } => name.to_string(),
                    DestinationRef::Subset(labels) => format!("{labels:?}"),
                    DestinationRef::Invalid(reason) => panic!("{reason}"),
                };
                assert!(told.contains(version), "{told}");
            }
        }
    }
}
