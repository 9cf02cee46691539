//! What becomes of a release, in time that is given to it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod scene;

use etm_api::{CommandVerb, ReleasePhase, Traffic};
use etm_release::{Presence, Verdict, Versions};
use proptest::prelude::*;
use scene::{Scene, blue_green, canary};
use serde_json::json;

fn weights() -> serde_json::Value {
    json!([
        {"weight": 5, "pause": {"duration": "60s"}},
        {"percent": 20, "pause": {}},
        {"weight": 100},
    ])
}

#[test]
fn a_canary_goes_step_by_step_to_its_end() {
    let mut scene = Scene::new(canary(&weights()));
    scene.versions(Presence::Present, Presence::Absent("Service b has none".to_owned()));
    scene.look(0);
    assert_eq!(scene.at(), (ReleasePhase::Pending, Some(Traffic::Stable), None));
    assert!(scene.status.message.contains("Service b has none"), "{}", scene.status.message);
    scene.versions(Presence::Present, Presence::Present);
    scene.look(1);
    assert_eq!(scene.at(), (ReleasePhase::Pending, Some(Traffic::Prepared), None));
    scene.look(1);
    assert_eq!(scene.at(), (ReleasePhase::Pending, Some(Traffic::Prepared), None));
    scene.look(1);
    assert_eq!(scene.at(), (ReleasePhase::Progressing, Some(Traffic::Step), Some(0)));
    scene.look(59);
    assert_eq!(scene.at().2, Some(0));
    scene.look(1);
    assert_eq!(scene.at(), (ReleasePhase::Paused, Some(Traffic::Step), Some(1)));
    scene.look(100_000);
    assert_eq!(scene.at().2, Some(1), "until it is promoted, no time passes");
    scene.ask(CommandVerb::Promote);
    scene.look(1);
    assert_eq!(scene.at(), (ReleasePhase::Progressing, Some(Traffic::Step), Some(2)));
    scene.look(1);
    assert_eq!(scene.at(), (ReleasePhase::Holding, Some(Traffic::Switched), Some(3)));
    scene.look(60);
    assert_eq!(scene.at(), (ReleasePhase::Completed, Some(Traffic::New), Some(3)));
    let reasons: Vec<_> = scene.status.history.iter().map(|event| &*event.reason).collect();
    assert_eq!(reasons, ["Begun", "Stepped", "Stepped", "Switched", "Completed"]);
    scene.versions(Presence::Absent("gone".to_owned()), Presence::Absent("gone".to_owned()));
    let before = scene.status.clone();
    scene.look(100_000);
    assert_eq!(scene.status, before, "a release that has come to its end stays so");
}

#[test]
fn a_switch_is_held_and_can_be_undone() {
    let mut scene = Scene::new(blue_green(&json!({"pause": {}, "hold": "10m"})));
    scene.begin();
    assert_eq!(scene.at(), (ReleasePhase::Paused, Some(Traffic::Step), Some(0)));
    scene.ask(CommandVerb::Promote);
    scene.look(5);
    assert_eq!(scene.at(), (ReleasePhase::Holding, Some(Traffic::Switched), Some(1)));
    scene.look(599);
    assert_eq!(scene.at().0, ReleasePhase::Holding);
    scene.look(1);
    assert_eq!(scene.at(), (ReleasePhase::Completed, Some(Traffic::New), Some(1)));
    scene.ask(CommandVerb::Abort);
    scene.look(1);
    assert_eq!(scene.at().0, ReleasePhase::Completed);
    assert!(!scene.status.command.clone().unwrap().done);
    scene.ask(CommandVerb::Undo);
    scene.look(1);
    assert_eq!(scene.at(), (ReleasePhase::RolledBack, Some(Traffic::Switched), Some(1)));
    scene.look(2);
    assert_eq!(scene.at(), (ReleasePhase::RolledBack, Some(Traffic::Returned), Some(1)));
    scene.look(599);
    assert_eq!(scene.at().1, Some(Traffic::Returned), "requests are under way in the new version");
    scene.look(1);
    assert_eq!(scene.at(), (ReleasePhase::RolledBack, Some(Traffic::Stable), Some(1)));
}

#[test]
fn what_rolls_back() {
    let analysed = || {
        let mut spec = canary(&json!([{"weight": 10, "pause": {"duration": "60s"}}]));
        spec["analysis"] = json!({"connections": {"successShare": "99"}});
        let mut scene = Scene::new(spec);
        scene.begin();
        assert_eq!(scene.at().0, ReleasePhase::Progressing);
        scene
    };
    let rolled_back = |scene: &Scene, reason: &str| {
        let at = (scene.at().0, scene.at().1);
        assert_eq!(at, (ReleasePhase::RolledBack, Some(Traffic::Returned)));
        assert_eq!(scene.status.history.last().unwrap().reason, reason);
    };
    let mut scene = analysed();
    scene.verdict = Verdict::Failed("20 of 100".to_owned());
    scene.look(1);
    rolled_back(&scene, "AnalysisFailed");

    let mut scene = analysed();
    scene.versions(Presence::Present, Presence::Absent("Service b has none".to_owned()));
    scene.look(1);
    rolled_back(&scene, "NewVersionGone");

    let mut scene = analysed();
    scene.look(659);
    assert_eq!(scene.at().0, ReleasePhase::Progressing, "nothing is known of it");
    scene.look(1);
    rolled_back(&scene, "ProgressDeadlineExceeded");

    let mut scene = analysed();
    scene.ask(CommandVerb::Abort);
    scene.look(1);
    rolled_back(&scene, "Aborted");

    let mut scene = analysed();
    scene.versions(Presence::Absent("Service a has none".to_owned()), Presence::Present);
    scene.verdict = Verdict::Failed("20 of 100".to_owned());
    scene.look(1);
    assert_eq!(scene.at().0, ReleasePhase::Progressing, "there is nothing to go back to");
    assert!(scene.status.message.contains("no stable version"), "{}", scene.status.message);

    let mut scene = analysed();
    scene.verdict = Verdict::Passed("0 of 1000".to_owned());
    scene.look(59);
    assert_eq!(scene.at().2, Some(0), "its pause is not over");
    scene.look(1);
    assert_eq!(scene.at().0, ReleasePhase::Holding);
    scene.verdict = Verdict::Failed("20 of 100".to_owned());
    scene.look(1);
    rolled_back(&scene, "AnalysisFailed");
}

#[test]
fn the_deadline_of_a_controller_that_was_away() {
    let mut scene = Scene::new(canary(&json!([{"weight": 10, "pause": {"duration": "60s"}}])));
    scene.begin();
    scene.look(10_000);
    assert_eq!(scene.at().0, ReleasePhase::Holding, "nothing was wrong with it");
    scene.look(10_000);
    assert_eq!(scene.at().0, ReleasePhase::Completed);
}

#[test]
fn one_that_never_comes() {
    let mut scene = Scene::new(canary(&weights()));
    scene.versions(Presence::Present, Presence::Absent("Service b has none".to_owned()));
    scene.look(0);
    scene.look(600);
    assert_eq!(scene.at(), (ReleasePhase::RolledBack, Some(Traffic::Stable), None));
}

#[test]
fn one_that_is_edited_or_goes_while_it_is_prepared_is_prepared_anew() {
    let mut scene = Scene::new(canary(&weights()));
    let prepared = (ReleasePhase::Pending, Some(Traffic::Prepared), None);
    scene.look(0);
    assert_eq!(scene.at(), prepared);
    scene.versions(Presence::Present, Presence::Absent("Service b has none".to_owned()));
    scene.look(1);
    assert_eq!(scene.at(), (ReleasePhase::Pending, Some(Traffic::Stable), None));
    scene.versions(Presence::Present, Presence::Present);
    scene.look(1);
    assert_eq!(scene.at(), prepared);
    scene.spec = serde_json::from_value(canary(&json!([{"weight": 90}]))).unwrap();
    scene.generation += 1;
    scene.look(1);
    assert_eq!(scene.at(), prepared);
    scene.look(1);
    assert_eq!(scene.at(), prepared, "two seconds since the edit");
    scene.look(1);
    assert_eq!(scene.at(), (ReleasePhase::Progressing, Some(Traffic::Step), Some(0)));
    assert!(scene.status.message.starts_with("90%"), "{}", scene.status.message);
}

#[test]
fn a_step_that_leads_nobody_to_the_new_version_needs_no_connections_to_it() {
    for (steps, queries) in [(json!([{"weight": 0}]), false), (json!([{"percent": 0}]), true)] {
        let mut spec = canary(&steps);
        spec["analysis"] = json!({"connections": {"successShare": "99"}});
        if queries {
            let query =
                json!({"name": "q", "query": "up", "operator": "LessThan", "threshold": "1"});
            spec["analysis"]["queries"] = json!([query]);
        }
        let mut scene = Scene::new(spec);
        scene.begin();
        scene.look(1);
        let step = if queries { Some(0) } else { Some(1) };
        assert_eq!(scene.at().2, step, "what Prometheus says is waited for");
    }
}

#[test]
fn a_step_without_a_stable_version_says_so() {
    let mut scene = Scene::new(canary(&json!([{"weight": 10}])));
    scene.begin();
    let told = scene.status.message.clone();
    scene.versions(Presence::Absent("Service a has none".to_owned()), Presence::Present);
    scene.look(1);
    assert!(scene.status.message.contains("Service a has none"), "{}", scene.status.message);
    assert_eq!(
        scene
            .status
            .conditions
            .iter()
            .find(|one| one.type_ == "Progressing")
            .map(|one| &one.message),
        Some(&scene.status.message)
    );
    scene.versions(Presence::Unknown, Presence::Present);
    scene.look(1);
    assert_eq!(scene.status.message, told);
}

#[test]
fn one_whose_service_another_holds() {
    let mut scene = Scene::new(canary(&weights()));
    scene.holder = Some("Release shop/older holds Service a".to_owned());
    scene.look(0);
    scene.look(100_000);
    assert_eq!(scene.at(), (ReleasePhase::Pending, None, None));
    assert_eq!(scene.condition("Accepted"), ("False".to_owned(), "Held".to_owned()));
    scene.holder = None;
    scene.begin();
    assert_eq!(scene.at().0, ReleasePhase::Progressing);
    assert_eq!(scene.condition("Accepted"), ("True".to_owned(), "Accepted".to_owned()));
}

#[test]
fn an_edit_of_one_that_runs_counts_for_nothing() {
    let mut scene = Scene::new(canary(&weights()));
    scene.begin();
    let routes = scene.routes();
    scene.spec = serde_json::from_value(canary(&json!([{"weight": 90}]))).unwrap();
    scene.generation += 1;
    scene.look(1);
    assert_eq!(scene.condition("Accepted").1, "EditIgnored");
    assert_eq!(scene.routes(), routes);
    scene.look(60);
    assert_eq!(scene.at(), (ReleasePhase::Paused, Some(Traffic::Step), Some(1)));
}

#[test]
fn a_command_counts_once_and_for_its_step() {
    let mut scene =
        Scene::new(canary(&json!([{"weight": 1, "pause": {}}, {"weight": 2, "pause": {}}])));
    scene.begin();
    scene.ask(CommandVerb::Promote);
    scene.look(1);
    assert_eq!(scene.at().2, Some(1));
    scene.look(1);
    scene.look(1);
    assert_eq!(scene.at().2, Some(1), "the same command is there still");
    let mut late = scene.command.clone().unwrap();
    (late.id, late.step) = ("late".to_owned(), Some(0));
    scene.command = Some(late);
    scene.look(1);
    assert_eq!(scene.at().2, Some(1));
    assert!(!scene.status.command.clone().unwrap().done);
}

/// What may happen between two looks.
#[derive(Clone, Debug)]
enum Happens {
    Time(i64),
    Verdict(Verdict),
    Versions(Versions),
    Command(CommandVerb),
}

fn happens() -> impl Strategy<Value = Happens> {
    let presence = || {
        prop_oneof![
            1 => Just(Presence::Unknown),
            8 => Just(Presence::Present),
            1 => Just(Presence::Absent("none".to_owned())),
        ]
    };
    prop_oneof![
        6 => (0..2_000i64).prop_map(Happens::Time),
        3 => prop_oneof![
            1 => Just(Verdict::Undecided(String::new())),
            3 => Just(Verdict::Passed(String::new())),
            1 => Just(Verdict::Failed(String::new())),
        ].prop_map(Happens::Verdict),
        2 => (presence(), presence())
            .prop_map(|(stable, new)| Happens::Versions(Versions { stable, new })),
        2 => prop_oneof![
            3 => Just(CommandVerb::Promote),
            1 => Just(CommandVerb::Pause),
            1 => Just(CommandVerb::Abort),
            1 => Just(CommandVerb::Undo),
        ].prop_map(Happens::Command),
    ]
}

proptest! {
    /// Whatever happens, and whichever writes get lost because a controller died before or after
    /// them, steps follow one another, and whoever is rolled back is at the stable version only.
    #[test]
    fn no_step_is_skipped_or_repeated(
        events in prop::collection::vec((happens(), any::<bool>(), any::<bool>()), 1..60),
        analysed: bool,
    ) {
        let mut spec = canary(&weights());
        if analysed {
            spec["analysis"] = json!({"connections": {"successShare": "99"}});
        }
        let mut scene = Scene::new(spec);
        for (event, dies_before, dies_after) in events {
            match event {
                Happens::Time(seconds) => scene.now = scene.later(seconds),
                Happens::Verdict(verdict) => scene.verdict = verdict,
                Happens::Versions(versions) => scene.versions = versions,
                Happens::Command(verb) => scene.ask(verb),
            }
            let before = scene.status.clone();
            let next = scene.next();
            if dies_before {
                continue;
            }
            // Another controller, which has seen the old status, writes too: its version is refused.
            // One that reads the new one decides anew.
            scene.status = next.clone();
            if dies_after {
                let again = scene.next();
                prop_assert!(again.step <= next.step.map(|step| step + 1));
            }
            match (before.step, next.step) {
                (None, None | Some(0)) => {}
                (Some(a), Some(b)) => prop_assert!(b == a || b == a + 1, "{a} to {b}"),
                other => prop_assert!(false, "{other:?}"),
            }
            if before.phase == Some(ReleasePhase::RolledBack) {
                prop_assert_eq!(next.phase, Some(ReleasePhase::RolledBack));
            }
            if next.phase == Some(ReleasePhase::RolledBack) {
                match next.traffic {
                    Some(Traffic::Switched) => {
                        let from = [Some(Traffic::New), Some(Traffic::Switched)];
                        prop_assert!(from.contains(&before.traffic), "{:?}", before.traffic);
                    }
                    None | Some(Traffic::Stable | Traffic::Returned) => {
                        scene.leads_only_to("stable");
                    }
                    other => prop_assert!(false, "{other:?}"),
                }
            }
            // Whoever leads somebody to a version has had each keep to its own before.
            if next.step.is_some() && before.step.is_none() {
                prop_assert_eq!(before.traffic, Some(Traffic::Prepared));
            }
            if next.traffic == Some(Traffic::Returned) {
                prop_assert_ne!(before.traffic, Some(Traffic::New));
            }
            if next.phase == Some(ReleasePhase::Completed) {
                scene.leads_only_to("new");
            }
            // With the same eyes at the same time, nothing more is to be done but by a further step.
            let stepped = next.history.iter().map(|event| event.reason.as_str());
            let begun = stepped.filter(|reason| *reason == "Begun").count();
            prop_assert!(begun <= 1);
        }
    }
}
