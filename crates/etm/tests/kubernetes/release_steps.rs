//! What ends a step and what does not: answers of a real Prometheus, the deadline, and whoever pauses it.

use std::thread::sleep;
use std::time::Duration;

use etm_testkit::Prometheus;
use serde_json::{Value, json};

use crate::conditions::condition_of;
use crate::releases::release;
use crate::scene::Scene;
use crate::{errors, metrics};
use etm_testkit::wait::until;

/// A release that asks Prometheus for the errors of this test's Pods: two answers one after the other
/// decide.
fn asking(scene: &Scene, strategy: &Value, deadline: &str) {
    let mut asking = release("two", strategy);
    asking["spec"]["progressDeadline"] = json!(deadline);
    asking["spec"]["analysis"] = json!({"interval": "300ms", "queries": [{
        "name": "errors",
        "query": errors::query(scene),
        "operator": "GreaterThan",
        "threshold": "0.5",
        "consecutive": 2,
        "passes": 2,
    }]});
    scene.create("releases", asking);
}

/// Waits until the condition `Healthy` has this status and tells of this.
#[track_caller]
fn until_healthy(scene: &Scene, status: &str, told: &str) {
    until(&format!("Healthy is {status}, {told}"), || {
        condition_of(scene, ("releases", "two"), "Healthy").is_some_and(|condition| {
            let message = condition["message"].as_str().expect("a message");
            condition["status"] == status && message.contains(told)
        })
    });
}

#[test]
fn answers_of_prometheus_end_a_step_or_lead_back() {
    let scene = Scene::controlled();
    scene.web();
    let exporter = errors::exporter(&scene);
    let mut prometheus = Prometheus::start(&[&exporter], None, &[]).expect("Prometheus");
    let _controller = errors::controller(&scene, &prometheus);
    let steps = json!({"canary": {"steps": [{"weight": 10}, {"weight": 50, "pause": {}}]}});
    asking(&scene, &steps, "10m");
    scene.until_phase("two", "Progressing", Some(0));
    until_healthy(&scene, "Unknown", "query errors: gives no series");

    prometheus.stop().expect("an end");
    until("it is told of", || {
        metrics::page(&scene, "/problems").contains("spec.analysis.queries[0]")
    });
    prometheus.start_again().expect("Prometheus");
    until_healthy(&scene, "Unknown", "query errors: gives no series");
    assert_eq!(metrics::own_problems(&scene), [Value::Null; 0]);
    assert_eq!(scene.status_of("two")["step"], 0);

    exporter.set("web-2", 0.25);
    scene.until_phase("two", "Paused", Some(1));
    until_healthy(&scene, "True", "query errors: no value is");
    // Whoever waits to be promoted is led back as well.
    exporter.set("web-2", 0.75);
    let rolled_back = scene.until_phase("two", "RolledBack", Some(1));
    let message = rolled_back["message"].as_str().expect("a message");
    assert!(message.starts_with("AnalysisFailed: query errors: 0.75 is "), "{message}");
    assert_eq!(rolled_back["traffic"], "Returned");
}

#[test]
fn a_step_that_nothing_is_known_of_is_led_back_at_its_deadline() {
    let scene = Scene::controlled();
    scene.web();
    let exporter = errors::exporter(&scene);
    let prometheus = Prometheus::start(&[&exporter], None, &[]).expect("Prometheus");
    let _controller = errors::controller(&scene, &prometheus);
    asking(&scene, &json!({"canary": {"steps": [{"weight": 10}]}}), "2s");
    let late = scene.until_phase("two", "RolledBack", Some(0));
    let message = late["message"].as_str().expect("a message");
    assert!(message.starts_with("ProgressDeadlineExceeded: "), "{message}");
    assert!(message.contains("query errors: gives no series"), "{message}");
}

#[test]
fn one_that_is_paused_stays_until_it_is_promoted() {
    const PAUSE: Duration = Duration::from_secs(10);
    let scene = Scene::controlled();
    scene.web();
    let _controller = scene.controller(scene.admin).start().expect("a controller");
    let step = json!({"percent": 5, "pause": {"duration": format!("{}s", PAUSE.as_secs())}});
    scene.release("two", &json!({"canary": {"steps": [step], "hold": "1h"}}));
    scene.until_phase("two", "Progressing", Some(0));
    // As somebody may write it by hand.
    let by_hand = json!({"metadata": {"annotations": {"etm.dev/command": "pause"}}});
    scene.cluster.api().merge(&scene.path("releases", "two"), &by_hand).expect("an annotation");
    until("it is told of", || {
        let problems = metrics::own_problems(&scene);
        problems.iter().any(|problem| problem["field"] == "metadata.annotations[etm.dev/command]")
    });
    let told = scene.asked("pause", "two");
    assert!(told.contains("stays where it is until it is promoted"), "{told}");
    scene.until_phase("two", "Paused", Some(0));
    sleep(PAUSE + Duration::from_secs(1));
    assert_eq!(scene.status_of("two")["phase"], "Paused");
    scene.asked("promote", "two");
    scene.until_phase("two", "Holding", Some(1));
    until("nothing is told of", || metrics::own_problems(&scene).is_empty());
}
