//! Releases, as `etm controller` runs them against a real API server.

use std::net::IpAddr;
use std::process::{Command, Output};
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use crate::metrics;
use crate::scene::{Scene, free};
use etm_testkit::wait::{until, until_some};

impl Scene {
    /// A Service with its endpoints; the cluster's own addresses do not matter here.
    pub(crate) fn version(&self, name: &str, endpoints: &[IpAddr]) {
        self.service(name);
        self.slice(&format!("{name}-1"), name, endpoints);
    }

    /// The Service `web` and its versions `web-1` and `web-2`.
    pub(crate) fn web(&self) {
        self.service("web");
        self.version("web-1", &["10.244.9.1".parse().expect("an address")]);
        self.version("web-2", &["10.244.9.2".parse().expect("an address")]);
    }

    pub(crate) fn release(&self, name: &str, strategy: &Value) -> Value {
        self.create("releases", release(name, strategy))
    }

    fn stored_release(&self, name: &str) -> Value {
        let path = self.path("releases", name);
        self.cluster.api().get(&path).expect("an answer").expect("a Release")
    }

    pub(crate) fn status_of(&self, name: &str) -> Value {
        self.stored_release(name)["status"].clone()
    }

    /// Waits until a release is in a phase and at a step.
    #[track_caller]
    pub(crate) fn until_phase(&self, name: &str, phase: &str, step: Option<i64>) -> Value {
        until_some(&format!("{name} is {phase} at {step:?}"), || {
            let status = self.status_of(name);
            (status["phase"] == phase && status["step"].as_i64() == step).then_some(status)
        })
    }

    /// Runs `etm release VERB`.
    fn ask(&self, verb: &str, name: &str) -> Output {
        let output = Command::new(env!("CARGO_BIN_EXE_etm"))
            .args(["release", verb, &format!("{}/{name}", self.namespace), "--kubeconfig"])
            .arg(self.cluster.kubeconfig())
            .output();
        output.expect("an answer")
    }

    #[track_caller]
    pub(crate) fn asked(&self, verb: &str, name: &str) -> String {
        let output = self.ask(verb, name);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{verb}: {told}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    #[track_caller]
    pub(crate) fn refused(&self, verb: &str, name: &str) -> String {
        let output = self.ask(verb, name);
        assert!(!output.status.success(), "{verb}: {}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8_lossy(&output.stderr).into_owned()
    }
}

pub(crate) fn release(name: &str, strategy: &Value) -> Value {
    json!({
        "apiVersion": "etm.dev/v1alpha1",
        "kind": "Release",
        "metadata": {"name": name},
        "spec": {
            "services": [
                {"service": "web", "stable": {"service": "web-1"}, "new": {"service": "web-2"}}
            ],
            "strategy": strategy,
        },
    })
}

pub(crate) fn paused() -> Value {
    json!({"canary": {
        "steps": [{"percent": 5, "pause": {}}, {"weight": 50, "pause": {}}], "hold": "1s",
    }})
}

fn reasons(status: &Value) -> Vec<&str> {
    let history = status["history"].as_array().expect("a history").iter();
    history.filter_map(|event| event["reason"].as_str()).collect()
}

#[test]
fn one_is_promoted_to_its_end() {
    let scene = Scene::controlled();
    scene.service("web");
    scene.version("web-1", &["10.244.9.1".parse().expect("an address")]);
    scene.release("two", &paused());
    let _controller = scene.controller(scene.admin).start().expect("a controller");
    let waits = until_some("it waits for the new version", || {
        let status = scene.status_of("two");
        (status["traffic"] == "Stable").then_some(status)
    });
    assert!(waits["message"].as_str().is_some_and(|text| text.contains("web-2")), "{waits}");
    assert!(scene.refused("promote", "two").contains("has not begun"));
    scene.version("web-2", &["10.244.9.2".parse().expect("an address")]);
    scene.until_phase("two", "Paused", Some(0));

    // Whoever edits it is told by the API server, and nothing of it changes.
    let path = scene.path("releases", "two");
    let edit = json!({"spec": {"progressDeadline": "5m"}});
    let refused = scene.cluster.api().merge(&path, &edit).expect_err("an edit");
    assert!(format!("{refused:?}").contains("is not edited"), "{refused:?}");

    assert!(scene.asked("status", "two").contains("Paused, step 0 of 0 to 2"));
    assert!(scene.refused("pause", "two").contains("waits already"));
    scene.asked("promote", "two");
    scene.until_phase("two", "Paused", Some(1));
    scene.asked("promote", "two");
    let done = scene.until_phase("two", "Completed", Some(2));
    assert_eq!(done["traffic"], "New");
    assert_eq!(reasons(&done), ["Begun", "Stepped", "Switched", "Completed"]);
    assert!(scene.refused("abort", "two").contains("etm release undo"));
    scene.asked("undo", "two");
    scene.until_phase("two", "RolledBack", Some(2));
    until("its hold is over", || scene.status_of("two")["traffic"] == "Stable");
    assert!(scene.refused("promote", "two").contains("rolled back already"));
    assert_eq!(metrics::own_problems(&scene), [Value::Null; 0]);
}

#[test]
fn one_is_aborted_and_one_whose_version_goes_rolls_back() {
    let scene = Scene::controlled();
    scene.web();
    let _controller = scene.controller(scene.admin).start().expect("a controller");
    scene.release("first", &paused());
    scene.until_phase("first", "Paused", Some(0));
    scene.asked("abort", "first");
    let aborted = scene.until_phase("first", "RolledBack", Some(0));
    assert_eq!(reasons(&aborted), ["Begun", "Aborted"]);
    scene.delete("releases", "first");

    let switch = json!({"blueGreen": {"hold": "1h"}});
    scene.release("second", &switch);
    let switched = scene.until_phase("second", "Holding", Some(1));
    assert_eq!(switched["traffic"], "Switched");
    scene.delete("endpointslices", "web-2-1");
    let gone = scene.until_phase("second", "RolledBack", Some(1));
    assert_eq!(reasons(&gone), ["Begun", "Switched", "NewVersionGone"]);
}

#[test]
fn of_two_over_one_service_one_waits_until_the_other_is_deleted() {
    let scene = Scene::controlled();
    scene.web();
    let _controller = scene.controller(scene.admin).start().expect("a controller");
    scene.release("first", &paused());
    scene.until_phase("first", "Paused", Some(0));
    scene.release("second", &paused());
    let waits = scene.until_phase("second", "Pending", None);
    assert!(waits["traffic"].is_null(), "{waits}");
    assert!(waits["message"].as_str().is_some_and(|text| text.contains("holds Service web")));
    scene.asked("abort", "first");
    sleep(Duration::from_secs(2));
    assert_eq!(scene.status_of("second")["phase"], "Pending");
    scene.delete("releases", "first");
    scene.until_phase("second", "Paused", Some(0));
}

#[test]
fn whoever_takes_over_goes_on_at_the_step_that_it_is_at() {
    let scene = Scene::controlled();
    scene.web();
    let steps: Vec<_> =
        (1..13).map(|i| json!({"weight": i, "pause": {"duration": "700ms"}})).collect();
    scene.release("long", &json!({"canary": {"steps": steps, "hold": "1s"}}));
    // Each controller is killed at some moment; the next one may lead once the Lease is given up.
    for _ in 0..3 {
        let controller = scene.controller(free()).start().expect("a controller");
        let before = scene.status_of("long")["step"].as_i64().unwrap_or(-1);
        until("it goes on", || {
            scene.status_of("long")["step"].as_i64().is_some_and(|step| step > before)
        });
        controller.kill().expect("an end");
        scene.delete("leases", "etm-controller");
    }
    let _controller = scene.controller(scene.admin).start().expect("a controller");
    let done = scene.until_phase("long", "Completed", Some(12));
    let history = done["history"].as_array().expect("a history").iter();
    let steps: Vec<_> = history.filter_map(|event| event["step"].as_i64()).collect();
    assert_eq!(steps, Vec::from_iter((0..13).chain([12])), "{done}");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let scene = Scene::controlled();
    let step = |step: Value| json!({"canary": {"steps": [step]}});
    let percent = |percent: i32| step(json!({"percent": percent}));
    for (i, (strategy, told)) in [
        (json!({}), "either canary or blueGreen"),
        (json!({"canary": {"steps": []}}), "at least 1"),
        (step(json!({})), "one of weight, percent and callers"),
        (step(json!({"weight": 5, "percent": 5})), "one of weight, percent and callers"),
        (percent(101), "less than or equal to 100"),
        (percent(-1), "greater than or equal to 0"),
        (step(json!({"callers": [{}]})), "says nothing of callers"),
        (json!({"blueGreen": {"hold": "forever"}}), "hold"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut object = release(&format!("bad-{i}"), &strategy);
        object["metadata"]["namespace"] = json!(scene.namespace);
        let path = scene.path("releases", "");
        let refused = scene.cluster.api().create(&path, &object).expect_err("a refusal");
        assert!(format!("{refused:?}").contains(told), "{strategy}: {refused:?}");
    }
    for (i, service) in [
        json!({"service": "web", "stable": {}, "new": {"service": "web-2"}}),
        json!({"service": "web", "stable": {"service": "web-2"}, "new": {"service": "web-2"}}),
    ]
    .into_iter()
    .enumerate()
    {
        let mut object = release(&format!("worse-{i}"), &percent(0));
        object["metadata"]["namespace"] = json!(scene.namespace);
        object["spec"]["services"] = json!([service]);
        let path = scene.path("releases", "");
        scene.cluster.api().create(&path, &object).expect_err("a refusal");
    }
    scene.release("nobody", &percent(0));
    scene.release("everybody", &percent(100));
}
