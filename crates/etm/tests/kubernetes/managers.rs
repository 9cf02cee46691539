//! Others that write into the status of a policy.

use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use crate::conditions::{condition, until_condition, version, writes};
use crate::metrics;
use crate::policies::policy;
use crate::scene::Scene;
use etm_testkit::wait::until;

/// Says something in the status of a policy, as another manager.
fn say(scene: &Scene, name: &str, conditions: &Value) {
    let object = json!({
        "apiVersion": "etm.dev/v1alpha1",
        "kind": "TrafficPolicy",
        "metadata": {"name": name, "namespace": scene.namespace},
        "status": {"conditions": conditions},
    });
    let words = ["apply", "--server-side", "--force-conflicts", "--subresource=status"];
    let words = [&words[..], &["--field-manager=other", "-f", "-"]].concat();
    scene.cluster.kubectl_with(&words, &object.to_string()).expect("a status");
}

#[test]
fn what_others_write_is_theirs() {
    let scene = Scene::controlled();
    scene.service("web");
    scene.create("trafficpolicies", policy("one", "web", &json!({})));
    let _controller = scene.controller(scene.admin).start().expect("a controller");
    until_condition(&scene, "one", "Accepted");
    let said = |of: &str| {
        json!({
            "type": of,
            "status": "False",
            "reason": "Because",
            "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
            "observedGeneration": 1,
        })
    };
    say(&scene, "one", &json!([said("Programmed")]));
    scene.delete("services", "web");
    until_condition(&scene, "one", "TargetNotFound");
    assert_eq!(condition(&scene, "one", "Programmed"), Some(said("Programmed")));

    // The very condition: it is theirs until somebody takes it away.
    say(&scene, "one", &json!([said("Accepted")]));
    let told = format!("TrafficPolicy {}/one", scene.namespace);
    until("it is told", || metrics::page(&scene, "/problems").contains(&told));
    let (before, written) = (version(&scene, "one"), writes(scene.admin));
    sleep(Duration::from_secs(3));
    assert_eq!((version(&scene, "one"), writes(scene.admin)), (before, written));
    let accepted = condition(&scene, "one", "Accepted").expect("a condition");
    assert_eq!(accepted["reason"], "Because");
    let none = json!({"status": {"conditions": []}}).to_string();
    let patch = ["-n", &scene.namespace, "patch", "tp", "one", "--subresource=status"];
    let words = [&patch[..], &["--type=merge", "-p", &none]].concat();
    scene.cluster.kubectl(&words).expect("a status");
    until_condition(&scene, "one", "TargetNotFound");
    until("it is mended", || metrics::own_problems(&scene).is_empty());
}
