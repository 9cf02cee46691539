//! `TrafficRoute`, checked as its schema checks it: a directory has no API server before it, and a
//! cluster may have an older or a newer schema than this program.

use std::sync::Arc;

use etm_api as api;
use etm_model::{
    Action, CallerShare, Destination, DestinationRef, ObjectName, Route, RouteKind, RouteOwner,
    RoutePort, Rule,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::Number;

use super::{
    Converted, fields, labels::selector, metadata::Identity, report::Report, route_callers::callers,
};

const KEEP_OUT: &str = "until then the route counts as it was before, and a new one not at all";
/// Rules of a route, entries of `from`, destinations of a rule: at most.
const RULES: usize = 64;
const CALLERS: usize = 16;
const DESTINATIONS: usize = 16;
const WEIGHT: i32 = 1_000_000;

/// Converts a `TrafficRoute`; one with anything wrong in its spec counts as it was before, so that
/// nothing is half applied.
#[must_use]
pub fn traffic_route(object: &api::UncheckedTrafficRoute) -> Converted<Route> {
    let identity = match Identity::namespaced("TrafficRoute", &object.metadata) {
        Ok(identity) => identity,
        Err(problems) => return Converted::refused(problems),
    };
    let (created, name) = (identity.created, identity.name.clone());
    let mut report = Report::on(format!("TrafficRoute {}", identity.name));
    let spec = fields::spec(&object.spec, &mut report, hint);
    let route = spec.and_then(|spec| Conversion { name: &name, report: &mut report }.route(&spec));
    let problems = report.finish();
    let object = route.filter(|_| problems.is_empty()).map(|route| Route { created, ..route });
    let stays = object.is_none().then_some(name);
    Converted { object, created, proxy: None, problems, stays }
}

struct Conversion<'a> {
    name: &'a ObjectName,
    report: &'a mut Report,
}

impl Conversion<'_> {
    fn route(&mut self, spec: &api::TrafficRouteSpec) -> Option<Route> {
        let target = self.named(&spec.target_ref.name, "spec.targetRef.name")?;
        let port = self.port(spec.target_ref.port.as_ref(), "spec.targetRef.port")?;
        self.counted(spec.rules.len(), RULES, "spec.rules", "rules")?;
        let rules = spec.rules.iter().enumerate();
        let rules = rules.map(|(i, rule)| self.rule(rule, &format!("spec.rules[{i}]")));
        // All of them, so that all is told that is wrong.
        let rules: Vec<_> = rules.collect();
        Some(Route {
            owner: RouteOwner { kind: RouteKind::TrafficRoute, name: self.name.clone() },
            created: None,
            field: "spec.targetRef".into(),
            target: ObjectName { namespace: Arc::clone(&self.name.namespace), name: target },
            port,
            protocol: None,
            consumers: None,
            rules: rules.into_iter().collect::<Option<_>>()?,
            abandons: None,
        })
    }

    fn rule(&mut self, given: &api::RouteRule, field: &str) -> Option<Rule> {
        let from = match &given.from {
            None => Vec::new(),
            Some(listed) => {
                let place = format!("{field}.from");
                self.counted(listed.len(), CALLERS, &place, "entries")?;
                let listed = listed.iter().enumerate();
                let report = &mut *self.report;
                listed
                    .map(|(i, one)| callers(one, &format!("{place}[{i}]"), hint, report))
                    .collect()
            }
        };
        if given.salt.is_some() && given.percent.is_none() {
            let way = "add percent, or take salt away";
            self.tell::<()>(&format!("{field}.salt"), "says which callers percent takes", way);
        }
        let share = match &given.percent {
            None => None,
            Some(percent) => {
                let parts = self.parts(percent, &format!("{field}.percent"))?;
                let default = || self.name.to_string();
                let salt = given.salt.clone().unwrap_or_else(default);
                Some(CallerShare { parts, salt: etm_model::hash(&salt) })
            }
        };
        Some(Rule {
            name: given.name.as_deref().unwrap_or_default().into(),
            field: field.into(),
            from,
            share,
            action: self.action(given, field)?,
        })
    }

    fn action(&mut self, given: &api::RouteRule, field: &str) -> Option<Action> {
        let to = match (given.deny.unwrap_or_default(), &given.to) {
            (true, None) => return Some(Action::Deny),
            (false, Some(to)) => to,
            (true, Some(_)) => {
                let way = "make two rules of it, or take one away";
                return self.tell(field, "has both deny and to", way);
            }
            (false, None) => {
                let way = "say where its callers go, or write deny: true";
                return self.tell(field, "has neither deny: true nor to", way);
            }
        };
        let place = format!("{field}.to");
        self.counted(to.len(), DESTINATIONS, &place, "destinations")?;
        let listed = to.iter().enumerate();
        let destinations: Vec<_> =
            listed.map(|(i, one)| self.destination(one, &format!("{place}[{i}]"))).collect();
        let destinations: Vec<_> = destinations.into_iter().collect::<Option<_>>()?;
        if destinations.iter().all(|destination| destination.weight == 0) {
            let way = "raise one of them, or write deny: true";
            return self.tell(&place, "has weights that sum to 0, so it leads nowhere", way);
        }
        Some(Action::Forward(destinations))
    }

    fn destination(&mut self, given: &api::RouteDestination, field: &str) -> Option<Destination> {
        let weight = u32::try_from(given.weight).ok().filter(|_| given.weight <= WEIGHT);
        let Some(weight) = weight else {
            let reason = format!("{} is not within 0 and {WEIGHT}", given.weight);
            return self.tell(&format!("{field}.weight"), reason, "correct it");
        };
        let to = match (&given.service, &given.subset) {
            (Some(service), None) => self.service(service, &format!("{field}.service"))?,
            (None, Some(subset)) => {
                let field = format!("{field}.subset");
                DestinationRef::Subset(selector(subset, &field, hint, self.report))
            }
            (Some(_), Some(_)) => {
                let way = "make two destinations of it, or take one away";
                return self.tell(field, "has both service and subset", way);
            }
            (None, None) => {
                return self.tell(field, "has neither service nor subset", "add one of them");
            }
        };
        Some(Destination { field: field.into(), weight, to })
    }

    fn service(&mut self, given: &api::RouteService, field: &str) -> Option<DestinationRef> {
        let name = self.named(&given.name, &format!("{field}.name"))?;
        let namespace = match given.namespace.as_deref() {
            None => Arc::clone(&self.name.namespace),
            Some(namespace) => self.named(namespace, &format!("{field}.namespace"))?,
        };
        let port = self.port(given.port.as_ref(), &format!("{field}.port"))?;
        Some(DestinationRef::Service { name: ObjectName { namespace, name }, port })
    }

    fn parts(&mut self, percent: &Number, field: &str) -> Option<u32> {
        let parts = percent.as_f64().map(|percent| percent * 100.0);
        let whole = f64::from(CallerShare::WHOLE);
        let within = parts.filter(|parts| (0.0..=whole).contains(parts));
        // What has two digits behind the point is mostly no exact binary fraction.
        let exact = within.filter(|parts| (parts - parts.round()).abs() < 1e-6);
        match exact {
            Some(parts) => Some(parts.round() as u32),
            None => {
                let reason = format!("{percent} is not a number from 0 to 100 in steps of 0.01");
                self.tell(field, reason, "correct it")
            }
        }
    }

    fn port(&mut self, given: Option<&IntOrString>, field: &str) -> Option<RoutePort> {
        match given {
            None => Some(RoutePort::Every),
            Some(IntOrString::String(name)) => Some(RoutePort::Name(self.named(name, field)?)),
            Some(IntOrString::Int(number)) => match u16::try_from(*number) {
                Ok(number) if number > 0 => Some(RoutePort::Number(number)),
                _ => {
                    let reason = format!("{number} is not a port, which is 1 to 65535");
                    self.tell(field, reason, "correct it")
                }
            },
        }
    }

    fn named(&mut self, name: &str, field: &str) -> Option<Arc<str>> {
        if name.is_empty() {
            return self.tell(field, "is empty", "write a name, or take the field away");
        }
        Some(name.into())
    }

    fn counted(&mut self, count: usize, most: usize, field: &str, what: &str) -> Option<()> {
        match count {
            0 => self.tell(field, "is empty", "add at least one, or take the field away"),
            _ if count > most => {
                let reason = format!("has {count} {what}, more than {most}");
                self.tell(field, reason, "join or leave out some of them")
            }
            _ => Some(()),
        }
    }

    fn tell<T>(&mut self, field: &str, reason: impl Into<String>, way: &str) -> Option<T> {
        self.report.add(field, reason, hint(way));
        None
    }
}

/// A way out of what is wrong with a route.
fn hint(way: &str) -> String {
    format!("{way}; {KEEP_OUT}")
}
