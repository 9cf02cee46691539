use std::time::Duration;

use etm_api::{CommandVerb, ReleaseCommand, ReleasePhase, ReleaseStatus, Traffic};
use etm_model::{Change, RouteKind, route_conditions};
use etm_outcomes::BackendOutcomes;
use etm_release::{Presence, Versions};
use serde_json::json;

use super::{routed::tests::cluster, *};

pub(super) fn release(name: &str, created: i64, services: &[&str]) -> ObservedRelease {
    let services: Vec<_> = services
        .iter()
        .map(|service| {
            json!({
                "service": service,
                "stable": {"service": format!("{service}-1")},
                "new": {"service": format!("{service}-2")},
            })
        })
        .collect();
    let spec = json!({
        "services": services,
        "strategy": {"canary": {"steps": [{"weight": 10, "pause": {}}, {"weight": 50}]}},
        "analysis": {"interval": "1s", "connections": {"successShare": "99"}},
    });
    ObservedRelease {
        name: ObjectName::new("shop", name),
        uid: name.to_owned(),
        created: Some(created),
        version: "1".to_owned(),
        generation: Some(1),
        spec: Ok(serde_json::from_value(spec).unwrap()),
        status: Ok(ReleaseStatus::default()),
        command: None,
        deleting: false,
    }
}

/// An API server that keeps what is written, and what has been seen of it.
struct Server {
    stored: BTreeMap<ObjectName, ObservedRelease>,
    writes: Vec<(String, Option<i32>)>,
}

impl Server {
    fn new(releases: Vec<ObservedRelease>) -> Self {
        let stored = releases.into_iter().map(|one| (one.name.clone(), one)).collect();
        Self { stored, writes: Vec::new() }
    }

    /// Another controller, which has seen all that is stored and found the versions there.
    fn controller(&self) -> Releases {
        let mut releases = Releases::default();
        let all = self.stored.values().cloned().map(|one| (one.name.clone(), Some(one)));
        let update = ReleaseUpdate { changed: all.collect(), problems: Vec::new() };
        releases.update(update, Instant::now());
        releases.take_over(Instant::now());
        look(&mut releases, &there());
        self.route(&mut releases);
        releases
    }

    /// Tells a controller what becomes of what is stored, in a cluster with these Services.
    fn route(&self, releases: &mut Releases) {
        let mut snapshot = cluster();
        for one in self.stored.values() {
            let owner = RouteOwner { kind: RouteKind::Release, name: one.name.clone() };
            snapshot.change(Change::SetRoutes(owner, one.routes()));
        }
        releases.judge(&snapshot, &route_conditions(&snapshot));
    }

    /// Takes a write, unless it is about another version.
    fn take(&mut self, write: &ReleaseWrite) -> Option<ObservedRelease> {
        let stored = self.stored.get_mut(&write.name)?;
        if stored.version != write.version {
            return None;
        }
        stored.version = (stored.version.parse::<u64>().unwrap() + 1).to_string();
        stored.status = Ok(write.status.clone());
        self.writes.push((write.name.name.to_string(), write.status.step));
        Some(stored.clone())
    }

    /// Writes all that a controller has to write.
    fn settle(&mut self, releases: &mut Releases) {
        let mut when = now();
        for _ in 0..20 {
            let Some(write) = releases.next(when) else {
                if when == now() {
                    // Nodes are prepared by then.
                    when = prepared();
                    continue;
                }
                return;
            };
            let after = self.take(&write);
            let outcome = if after.is_some() { Outcome::Written } else { Outcome::Overtaken };
            releases.note(&write, &outcome, after, Instant::now());
            self.route(releases);
        }
        panic!("it does not come to rest");
    }

    /// The steps that were made, whatever else was written at them.
    fn steps(&self) -> Vec<(String, Option<i32>)> {
        let mut steps = self.writes.clone();
        steps.dedup();
        steps
    }

    fn status(&self, name: &str) -> &ReleaseStatus {
        self.stored[&ObjectName::new("shop", name)].status.as_ref().unwrap()
    }
}

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

/// When what was begun at [`now`] may go on.
fn prepared() -> Timestamp {
    now() + Duration::from_secs(2)
}

fn there() -> Gathered {
    Gathered {
        versions: Versions { stable: Presence::Present, new: Presence::Present },
        stable: ["10.0.0.1".parse().unwrap()].into(),
        new: ["10.0.0.2".parse().unwrap()].into(),
        ..Gathered::default()
    }
}

fn look(releases: &mut Releases, gathered: &Gathered) {
    let later = Instant::now() + Duration::from_secs(60);
    let mut asks = Vec::new();
    while let Some(ask) = releases.ask(later) {
        asks.push(ask);
    }
    for ask in asks {
        releases.gathered(&ask, gathered, Instant::now());
    }
}

#[test]
fn of_two_over_one_service_the_older_begins_and_the_other_waits() {
    let mut server =
        Server::new(vec![release("a-younger", 2, &["web", "api"]), release("older", 1, &["api"])]);
    let mut controller = server.controller();
    server.settle(&mut controller);
    assert_eq!(server.status("older").traffic, Some(Traffic::Step));
    let waits = server.status("a-younger");
    assert_eq!((waits.phase, waits.traffic), (Some(ReleasePhase::Pending), None));
    assert!(waits.message.contains("Release shop/older holds Service api"), "{}", waits.message);
    // One that has begun holds, whoever is older.
    let mut oldest = release("oldest", 0, &["api"]);
    oldest.version = "7".to_owned();
    server.stored.insert(oldest.name.clone(), oldest);
    let mut controller = server.controller();
    server.settle(&mut controller);
    assert_eq!(server.status("oldest").traffic, None);
    // Its end is not enough; once it is deleted the next one begins.
    server.stored.remove(&ObjectName::new("shop", "older"));
    let mut controller = server.controller();
    server.settle(&mut controller);
    assert_eq!(server.status("oldest").traffic, Some(Traffic::Step));
    assert_eq!(server.status("a-younger").traffic, None);
}

#[test]
fn two_controllers_that_both_think_they_lead_make_one_step() {
    let mut server = Server::new(vec![release("one", 1, &["web"])]);
    let (mut first, mut second) = (server.controller(), server.controller());
    let (a, b) = (first.next(now()).unwrap(), second.next(now()).unwrap());
    let after = server.take(&a);
    first.note(&a, &Outcome::Written, after, Instant::now());
    assert!(server.take(&b).is_none(), "it is about another version");
    second.note(&b, &Outcome::Overtaken, None, Instant::now());
    assert!(second.next(now()).is_none(), "it waits for what the watch tells");
    server.settle(&mut first);
    let begun = server.steps();
    let mut third = server.controller();
    server.settle(&mut third);
    assert_eq!(server.steps(), begun, "no step is left to be made");
}

#[test]
fn one_that_dies_between_any_two_writes_is_followed_by_the_next_step() {
    let mut server = Server::new(vec![release("one", 1, &["web"])]);
    let name = ObjectName::new("shop", "one");
    for round in 0..7 {
        // Each process makes one write, and is not heard of again.
        let controller = server.controller();
        if let Some(write) = controller.next(if round == 0 { now() } else { prepared() }) {
            server.take(&write);
        }
        let stored = server.stored.get_mut(&name).unwrap();
        let step = stored.status.as_ref().unwrap().step;
        let id = round.to_string();
        stored.command = Some(Ok(ReleaseCommand { id, verb: CommandVerb::Promote, step }));
        stored.version = (stored.version.parse::<u64>().unwrap() + 1).to_string();
    }
    let steps: Vec<_> = server.writes.iter().filter_map(|(_, step)| *step).collect();
    let mut sorted = steps.clone();
    sorted.dedup();
    assert_eq!(sorted, [0, 1, 2], "{steps:?}");
    let reasons = server.status("one").history.iter().map(|event| event.reason.as_str());
    assert_eq!(Vec::from_iter(reasons), ["Begun", "Stepped", "Switched", "Completed"]);
}

fn outcomes(established: u32, refused: u32) -> Gathered {
    let backend = |address: &str, established, refused| BackendOutcomes {
        address: address.parse().unwrap(),
        port: 80,
        protocol: "TCP".to_owned(),
        established,
        rtt: established.wrapping_mul(100),
        refused,
        timed_out: 0,
        reset: 0,
    };
    let backends = vec![backend("10.0.0.1", 9_000, 0), backend("10.0.0.2", established, refused)];
    Gathered { outcomes: vec![("10.9.9.9:1".parse().unwrap(), backends)], ..there() }
}

#[test]
fn a_fifth_refused_rolls_back_and_what_was_before_the_step_does_not() {
    let mut server = Server::new(vec![release("one", 1, &["web"])]);
    let mut controller = server.controller();
    server.settle(&mut controller);
    // What was counted before it was first looked at is nothing of this step.
    look(&mut controller, &outcomes(1_000, 1_000));
    look(&mut controller, &outcomes(1_000, 1_000));
    server.settle(&mut controller);
    assert_eq!(server.status("one").phase, Some(ReleasePhase::Paused));
    look(&mut controller, &outcomes(1_080, 1_020));
    server.settle(&mut controller);
    let status = server.status("one");
    assert_eq!(
        (status.phase, status.traffic),
        (Some(ReleasePhase::RolledBack), Some(Traffic::Returned))
    );
    assert!(status.message.contains("20 of 100 connections failed"), "{}", status.message);
}

#[test]
fn counters_wrap() {
    let mut server = Server::new(vec![release("one", 1, &["web"])]);
    let mut controller = server.controller();
    server.settle(&mut controller);
    look(&mut controller, &outcomes(u32::MAX - 10, 0));
    look(&mut controller, &outcomes(u32::MAX - 10, 0));
    look(&mut controller, &outcomes(2_000, 1));
    server.settle(&mut controller);
    let healthy = server.status("one").conditions.iter().find(|one| one.type_ == "Healthy");
    assert_ne!(healthy.unwrap().status, "False");
}

#[test]
fn what_cannot_be_read_is_told_with_a_way_out() {
    let mut by_hand = release("one", 1, &["web"]);
    by_hand.command = Some(Err("expected value at line 1 column 1".to_owned()));
    let mut lost = release("two", 2, &["cart"]);
    lost.status = Err(("status.step".to_owned(), "is no number".to_owned()));
    let controller = Server::new(vec![by_hand, lost, release("three", 3, &["shop"])]).controller();
    let told: Vec<_> = controller.problems().map(|problem| problem.to_string()).collect();
    let [command, status] = told.as_slice() else { panic!("{told:?}") };
    assert!(
        command.contains("Release shop/one: metadata.annotations[etm.dev/command]"),
        "{command}"
    );
    assert!(command.contains("ask by etm release"), "{command}");
    assert!(status.contains("Release shop/two: status.step: is no number"), "{status}");
}
