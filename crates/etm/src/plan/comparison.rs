//! Who gets something else.

use std::collections::{BTreeMap, BTreeSet};

use etm_model::{
    CALLER_NODE_NUMBER, Called, CallerNumber, Family, ObjectName, Options, Outcomes, outcomes,
};

use super::{
    report::{Class, Gets, Port},
    state::State,
};

/// What callers of a Service get, by its ports.
type ByPort = BTreeMap<Called, Outcomes>;

/// The Service ports of some Services of which callers get something else then.
pub(super) fn compare(now: &State, then: &State, services: &BTreeSet<ObjectName>) -> Vec<Port> {
    let mut ports: Vec<Port> = Vec::new();
    for service in services {
        let (before, after) = (outcomes_of(now, service), outcomes_of(then, service));
        for called in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
            let classes = Comparison { now, then }.classes(before.get(called), after.get(called));
            if !classes.iter().any(|class| class.changes) {
                continue;
            }
            let (service, family) = (called.port.to_string(), family(called));
            match ports.last_mut() {
                Some(last) if last.service == service && last.classes == classes => {
                    last.families.push(family);
                }
                _ => ports.push(Port { service, families: vec![family], classes }),
            }
        }
    }
    ports
}

fn outcomes_of(state: &State, service: &ObjectName) -> ByPort {
    let snapshot = state.snapshot();
    let service = snapshot.services.get(service);
    service.map(|service| outcomes(service, snapshot, &Options::default())).unwrap_or_default()
}

fn family(called: &Called) -> String {
    let family = match called.family {
        Family::V4 => "IPv4",
        Family::V6 => "IPv6",
    };
    if called.local { format!("{family}, endpoints of this node") } else { family.to_owned() }
}

struct Comparison<'a> {
    now: &'a State,
    then: &'a State,
}

impl Comparison<'_> {
    /// Callers by what they get: first everyone who is in no other class.
    fn classes(&self, before: Option<&Outcomes>, after: Option<&Outcomes>) -> Vec<Class> {
        let others = class(Vec::new(), anyone(before), anyone(after));
        let mut classes = vec![others];
        for (name, now, then) in self.callers() {
            let found = class(Vec::new(), of(before, now), of(after, then));
            let mut known = classes.iter_mut();
            let same = known.find(|class| class.now == found.now && class.then == found.then);
            match same {
                // The first class needs no names.
                Some(class) if class.callers.is_empty() => {}
                Some(class) => class.callers.push(name),
                None => classes.push(Class { callers: vec![name], ..found }),
            }
        }
        classes
    }

    /// The node and its Pods, by their numbers now and then.
    fn callers(&self) -> Vec<(String, Option<CallerNumber>, Option<CallerNumber>)> {
        let node = format!("node {}", self.then.snapshot().node.name);
        let pods: BTreeSet<_> = self.now.callers().union(&self.then.callers()).copied().collect();
        let pods = pods.into_iter().map(|pod| {
            // Whoever is not there now is looked at as if he were, and the other way round.
            let (now, then) = (self.now.number(pod), self.then.number(pod));
            (pod.to_string(), now.or(then), then.or(now))
        });
        let node = (node, Some(CALLER_NODE_NUMBER), Some(CALLER_NODE_NUMBER));
        std::iter::once(node).chain(pods).collect()
    }
}

fn class(callers: Vec<String>, now: Option<Gets>, then: Option<Gets>) -> Class {
    let changes = match (&now, &then) {
        (Some(now), Some(then)) => !now.is_like(then),
        (now, then) => now.is_some() != then.is_some(),
    };
    Class { callers, now, then, changes }
}

fn anyone(outcomes: Option<&Outcomes>) -> Option<Gets> {
    outcomes.map(|outcomes| Gets::of(&outcomes.unknown))
}

fn of(outcomes: Option<&Outcomes>, number: Option<CallerNumber>) -> Option<Gets> {
    let outcomes = outcomes?;
    let found = number.and_then(|number| outcomes.callers.get(&number));
    Some(Gets::of(found.unwrap_or(&outcomes.unknown)))
}
