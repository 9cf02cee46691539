//! What agents route by a release.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[allow(dead_code, reason = "shared with the tests of the machine")]
mod scene;

use etm_api::{CommandVerb, Traffic};
use etm_model::{Action, CallerShare, DestinationRef, ObjectName, RouteKind, hash};
use scene::{Scene, blue_green, canary};
use serde_json::json;

/// Rules of one route in short: name, selectors, parts of callers, percent that goes to the new version.
fn rules(scene: &Scene, route: usize) -> Vec<(String, usize, Option<u32>, u32)> {
    let routes = scene.routes();
    let rules = routes[route].rules.iter().map(|rule| {
        let Action::Forward(to) = &rule.action else { panic!("{rule:?}") };
        let weight =
            |of: &str| to.iter().find(|to| to.field.ends_with(of)).map_or(0, |to| to.weight);
        assert_eq!(weight(".new") + weight(".stable"), 100);
        let share = rule.share.map(|share| share.parts);
        (rule.name.to_string(), rule.from.len(), share, weight(".new"))
    });
    rules.collect()
}

const COHORTS: [(&str, usize, Option<u32>, u32); 2] =
    [("callers of the new version", 2, None, 100), ("callers of the stable version", 2, None, 0)];

fn expected(further: &[(&str, usize, Option<u32>, u32)]) -> Vec<(String, usize, Option<u32>, u32)> {
    let all = COHORTS.iter().chain(further);
    all.map(|(name, from, share, new)| ((*name).to_owned(), *from, *share, *new)).collect()
}

#[test]
fn each_version_calls_its_own_before_anybody_is_led_to_the_new_one() {
    let mut scene = Scene::new(canary(&json!([{"percent": 50}])));
    scene.look(0);
    for route in [0, 1] {
        assert_eq!(rules(&scene, route), expected(&[("everyone else", 0, None, 0)]));
    }
}

#[test]
fn each_kind_of_step() {
    let mut scene = Scene::new(canary(&json!([
        {"callers": [{"podSelector": {"matchLabels": {"tester": "yes"}}}, {"nodes": ["n1"]}]},
        {"percent": 20},
        {"weight": 50},
        {"percent": 0},
        {"percent": 100},
    ])));
    assert_eq!(scene.routes(), [], "it has not begun");
    scene.begin();
    let chosen = ("chosen callers", 2, None, 100);
    assert_eq!(rules(&scene, 0), expected(&[chosen, ("everyone else", 0, None, 0)]));
    scene.look(1);
    let share = |parts| ("share of callers", 0, Some(parts), 100);
    let rest = ("everyone else", 0, None, 0);
    assert_eq!(rules(&scene, 1), expected(&[chosen, share(2000), rest]));
    scene.look(1);
    assert_eq!(rules(&scene, 1), expected(&[chosen, ("everyone else", 0, None, 50)]));
    scene.look(1);
    assert_eq!(rules(&scene, 1), expected(&[chosen, share(0), rest]));
    scene.look(1);
    assert_eq!(rules(&scene, 1), expected(&[chosen, share(CallerShare::WHOLE), rest]));
    scene.look(1);
    assert_eq!(rules(&scene, 0), expected(&[("everyone else", 0, None, 100)]));
    scene.look(60);
    assert_eq!(rules(&scene, 0), [("everyone".to_owned(), 0, None, 100)]);
}

#[test]
fn after_a_roll_back_the_new_version_still_calls_itself_for_a_while() {
    let mut scene = Scene::new(canary(&json!([{"percent": 50}])));
    scene.begin();
    scene.ask(CommandVerb::Abort);
    scene.look(1);
    assert_eq!(rules(&scene, 0), expected(&[("everyone else", 0, None, 0)]));
    scene.look(60);
    assert_eq!(rules(&scene, 0), [("everyone".to_owned(), 0, None, 0)]);
}

#[test]
fn the_old_version_is_abandoned_once_it_is_completed_and_where_that_is_asked_for() {
    for asked in [true, false] {
        let strategy = json!({"hold": "10m", "endOldConnections": asked});
        let mut scene = Scene::new(blue_green(&strategy));
        scene.begin();
        scene.look(1);
        assert!(scene.routes().iter().all(|route| route.abandons.is_none()), "it is held");
        scene.look(600);
        assert_eq!(scene.at().1, Some(Traffic::New));
        let routes = scene.routes();
        let abandoned = routes.iter().filter_map(|route| route.abandons.as_ref());
        let fields: Vec<_> = abandoned.map(|one| one.field.to_string()).collect();
        let all = ["spec.services[0].stable", "spec.services[1].stable"];
        assert_eq!(fields, if asked { &all[..] } else { &[] });
        scene.ask(CommandVerb::Undo);
        scene.look(1);
        let kept = expected(&[("everyone else", 0, None, 100)]);
        assert_eq!(rules(&scene, 0), kept, "nobody is led back before each keeps to its version");
        scene.look(2);
        assert_eq!(rules(&scene, 0), expected(&[("everyone else", 0, None, 0)]));
        assert!(scene.routes().iter().all(|route| route.abandons.is_none()), "it is undone");
    }
}

#[test]
fn all_services_share_one_cohort() {
    let mut scene = Scene::new(canary(&json!([{"percent": 20}])));
    scene.begin();
    let routes = scene.routes();
    assert_eq!(routes.len(), 2);
    for (route, service) in routes.iter().zip(["a", "b"]) {
        assert_eq!(route.owner.kind, RouteKind::Release);
        assert_eq!(route.target, ObjectName::new("shop", service));
        let share = route.rules.iter().find_map(|rule| rule.share).unwrap();
        assert_eq!(share.salt, hash("shop/two"));
        // Whoever is of a version of one Service, reaches that of each.
        let of = |rule: usize| -> Vec<_> {
            let from = route.rules[rule].from.iter();
            from.map(|from| (from.members_of.clone().unwrap(), from.pod_labels.is_some())).collect()
        };
        let in_shop = |name: &str| ObjectName::new("shop", name);
        assert_eq!(of(0), [(in_shop("a-new"), false), (in_shop("b"), true)]);
        assert_eq!(of(1), [(in_shop("a-stable"), false), (in_shop("b"), true)]);
    }
    let Action::Forward(to) = &routes[1].rules[0].action else { panic!("it denies") };
    assert!(matches!(&to[0].to, DestinationRef::Subset(labels) if labels.requirements.len() == 1));
}

#[test]
fn a_preview_of_nobody_sends_everyone_to_the_stable_version() {
    let mut scene = Scene::new(blue_green(&json!({"pause": {}})));
    scene.begin();
    assert_eq!(rules(&scene, 0), expected(&[("everyone else", 0, None, 0)]));
}
