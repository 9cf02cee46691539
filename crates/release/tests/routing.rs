//! What becomes of a release that is not routed.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[allow(dead_code, reason = "shared with the tests of the machine")]
mod scene;

use etm_api::{CommandVerb, ReleasePhase, Traffic};
use etm_release::{Routing, Verdict};
use scene::{Scene, blue_green, canary};
use serde_json::json;

fn behind(route: &str) -> Routing {
    let message = format!("TrafficRoute shop/{route} already says where all callers go");
    Routing::Fails { reason: "Conflicted".to_owned(), message }
}

fn counts() -> Routing {
    Routing::Counts("counts for Service shop/a".to_owned())
}

fn weights() -> serde_json::Value {
    canary(&json!([{"weight": 5, "pause": {"duration": "60s"}}, {"weight": 50}]))
}

fn message(scene: &Scene) -> (String, String) {
    let told = scene.status.conditions.iter().find(|one| one.type_ == "Routed").unwrap();
    (told.status.clone(), told.message.clone())
}

/// Looks until it is at a step, for ten seconds.
fn begun(scene: &mut Scene) {
    for _ in 0..10 {
        scene.look(1);
    }
    assert_eq!(scene.at().2, Some(0), "{}", scene.status.message);
}

#[test]
fn it_waits_until_it_is_routed_and_then_prepares_every_node() {
    let mut scene = Scene::new(weights());
    scene.routing = Routing::Unknown;
    for _ in 0..100 {
        scene.look(1);
    }
    // Nothing begins before it is seen that it counts.
    assert_eq!(scene.at(), (ReleasePhase::Pending, Some(Traffic::Prepared), None));
    assert!(scene.status.conditions.iter().all(|one| one.type_ != "Routed"));
    scene.routing = behind("one");
    scene.look(1);
    assert_eq!(scene.at(), (ReleasePhase::Pending, Some(Traffic::Prepared), None));
    assert!(scene.status.message.contains("until it is routed: TrafficRoute shop/one"));
    assert_eq!(scene.condition("Routed"), ("False".to_owned(), "Conflicted".to_owned()));
    // Another route is another message.
    scene.routing = behind("two");
    scene.look(1);
    assert!(message(&scene).1.contains("shop/two"), "{:?}", message(&scene));
    let before = scene.status.clone();
    scene.look(1);
    assert_eq!(scene.status, before, "nothing new is nothing to write");
    scene.routing = counts();
    scene.look(1);
    assert_eq!(scene.at().2, None, "every node has yet to be prepared");
    assert_eq!(message(&scene).0, "True");
    scene.look(2);
    assert_eq!(scene.at(), (ReleasePhase::Progressing, Some(Traffic::Step), Some(0)));
}

#[test]
fn one_that_never_is_does_not_begin() {
    let mut scene = Scene::new(weights());
    scene.routing = behind("one");
    for _ in 0..700 {
        scene.look(1);
        assert_eq!(scene.at().2, None);
    }
    assert_eq!(scene.at().0, ReleasePhase::RolledBack);
    assert!(scene.status.message.starts_with("ProgressDeadlineExceeded: waits until it is routed"));
}

#[test]
fn one_that_is_not_any_more_makes_no_step() {
    let mut scene = Scene::new(weights());
    begun(&mut scene);
    let own = scene.status.message.clone();
    scene.routing = behind("one");
    for _ in 0..200 {
        scene.look(1);
        assert_eq!(scene.at(), (ReleasePhase::Progressing, Some(Traffic::Step), Some(0)));
    }
    let told = format!("{own}; but it is not routed: TrafficRoute shop/one");
    assert!(scene.status.message.starts_with(&told), "{}", scene.status.message);
    scene.ask(CommandVerb::Promote);
    scene.look(1);
    let answer = scene.status.command.clone().unwrap();
    assert!(!answer.done && answer.message.contains("shop/one"), "{answer:?}");
    // It goes on as soon as it counts again, with the words that it had.
    let mut found = Scene::new(weights());
    (found.status, found.now, found.routing) = (scene.status.clone(), scene.now, counts());
    found.look(1);
    assert_eq!((found.at().2, message(&found).0.as_str()), (Some(1), "True"));
    assert!(!found.status.message.contains("not routed"), "{}", found.status.message);
    // The deadline does not wait for it.
    scene.look(600);
    assert_eq!(scene.at().0, ReleasePhase::RolledBack);
    assert!(scene.status.message.contains("it is not routed: TrafficRoute shop/one"));
}

#[test]
fn a_switch_that_leads_nobody_is_not_completed() {
    let mut scene = Scene::new(blue_green(&json!({"hold": "30s"})));
    scene.verdict = Verdict::Passed(String::new());
    begun_and_switched(&mut scene);
    scene.routing = behind("one");
    for _ in 0..100 {
        scene.look(1);
        assert_eq!(scene.at().0, ReleasePhase::Holding);
    }
    scene.look(600);
    assert_eq!(scene.at(), (ReleasePhase::RolledBack, Some(Traffic::Returned), Some(1)));
}

fn begun_and_switched(scene: &mut Scene) {
    for _ in 0..5 {
        scene.look(1);
    }
    assert_eq!(scene.at(), (ReleasePhase::Holding, Some(Traffic::Switched), Some(1)));
}
