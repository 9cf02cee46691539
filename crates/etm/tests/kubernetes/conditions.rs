//! The conditions of policies, as `etm controller` writes them.

use std::net::SocketAddr;
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use crate::metrics;
use crate::policies::policy;
use crate::scene::{POD_PORT, PORT, Scene};
use crate::shipped;
use etm_testkit::wait::{until, until_some};

/// A policy as the API server has it.
pub(crate) fn stored(scene: &Scene, name: &str) -> Value {
    let path = scene.path("trafficpolicies", name);
    scene.cluster.api().get(&path).expect("an answer").expect("a policy")
}

/// Its condition of a type.
pub(crate) fn condition(scene: &Scene, name: &str, of: &str) -> Option<Value> {
    condition_of(scene, ("trafficpolicies", name), of)
}

/// The condition of a type that an object of a kind has in its status.
pub(crate) fn condition_of(scene: &Scene, (kind, name): (&str, &str), of: &str) -> Option<Value> {
    let found = scene.cluster.api().get(&scene.path(kind, name)).expect("an answer");
    among(&found.expect("an object")["status"], of).cloned()
}

/// The condition of a type among those of a status, or of a part of one.
pub(crate) fn among<'a>(status: &'a Value, of: &str) -> Option<&'a Value> {
    status["conditions"].as_array()?.iter().find(|condition| condition["type"] == of)
}

/// Waits until a policy is accepted or not, for a reason, and gives the condition.
#[track_caller]
pub(crate) fn until_condition(scene: &Scene, name: &str, reason: &str) -> Value {
    until_some(&format!("{name} is {reason}"), || {
        let condition = condition(scene, name, "Accepted")?;
        (condition["reason"] == reason).then_some(condition)
    })
}

fn message(condition: &Value) -> &str {
    condition["message"].as_str().expect("a message")
}

pub(crate) fn version(scene: &Scene, name: &str) -> String {
    stored(scene, name)["metadata"]["resourceVersion"].to_string()
}

/// How many writes were sent, once their number stays: a write is counted when it is answered,
/// and what it wrote may be seen before that.
pub(crate) fn writes(admin: SocketAddr) -> f64 {
    let mut seen = writes_now(admin);
    until("no write is under way", || {
        sleep(Duration::from_millis(500));
        let before = std::mem::replace(&mut seen, writes_now(admin));
        before == seen
    });
    seen
}

fn writes_now(admin: SocketAddr) -> f64 {
    let outcomes = ["written", "overtaken", "refused", "failed"];
    let count = |outcome: &str| {
        let metric = format!(r#"etm_status_writes_total{{outcome="{outcome}"}}"#);
        metrics::value_at(admin, &metric).unwrap_or(0.0)
    };
    outcomes.into_iter().map(count).sum()
}

fn of_port(name: &str, service: &str, port: &str) -> Value {
    let mut policy = policy(name, service, &json!({}));
    policy["spec"]["targetRef"]["port"] = port.into();
    policy
}

#[test]
fn each_reason_comes_and_goes() {
    let scene = Scene::controlled();
    let namespace = &scene.namespace;
    scene.create("trafficpolicies", policy("first", "web", &json!({})));
    let _controller = scene.controller(scene.admin).start().expect("a controller");
    let lost = until_condition(&scene, "first", "TargetNotFound");
    assert_eq!(lost["status"], "False");
    assert!(message(&lost).starts_with(&format!("there is no Service {namespace}/web ")), "{lost}");

    scene.service("web");
    let accepted = until_condition(&scene, "first", "Accepted");
    assert_eq!(accepted["status"], "True");
    assert_eq!(accepted["observedGeneration"], 1);
    assert_eq!(stored(&scene, "first")["status"]["observedGeneration"], 1);

    // The API server's times are whole seconds: the next one is another.
    sleep(Duration::from_millis(1100));
    scene.create("trafficpolicies", policy("second", "web", &json!({})));
    let conflicted = until_condition(&scene, "second", "Conflicted");
    assert_eq!(conflicted["status"], "False");
    assert!(message(&conflicted).contains(&format!("{namespace}/first")), "{conflicted}");
    let shown = ["get", "tp", "--namespace", namespace];
    let shown = scene.cluster.kubectl(&shown).expect("a table");
    let rows: Vec<Vec<&str>> = shown.lines().map(|row| row.split_whitespace().collect()).collect();
    assert_eq!(rows[1][..4], ["first", "web", "Random", "True"]);
    assert_eq!(rows[2][..4], ["second", "web", "Random", "False"]);

    // One that counts for a port alone leaves the others to the older one.
    scene.create("trafficpolicies", of_port("third", "web", "grpc"));
    let missing = until_condition(&scene, "third", "PortNotFound");
    assert!(message(&missing).contains("http"), "{missing}");
    scene.apply(json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"ports": [
            {"name": "http", "port": PORT, "targetPort": POD_PORT},
            {"name": "grpc", "port": 81, "targetPort": POD_PORT},
        ]},
    }));
    until_condition(&scene, "third", "Accepted");
    until("the first counts for the other port", || {
        let first = condition(&scene, "first", "Accepted").expect("a condition");
        first["status"] == "True" && message(&first).contains("but for ports")
    });
    let first = condition(&scene, "first", "Accepted").expect("a condition");
    assert_eq!(first["lastTransitionTime"], accepted["lastTransitionTime"]);

    // Another spec, for the same reason: told as such, at the time at which it began.
    scene.apply(policy("second", "web", &json!({"podAnnotation": true})));
    until("the new spec was seen", || {
        let second = condition(&scene, "second", "Accepted").expect("a condition");
        assert_eq!(second["lastTransitionTime"], conflicted["lastTransitionTime"]);
        second["observedGeneration"] == 2
    });
    assert_eq!(stored(&scene, "second")["status"]["observedGeneration"], 2);

    sleep(Duration::from_millis(1100));
    scene.delete("trafficpolicies", "first");
    let second = until_condition(&scene, "second", "Accepted");
    assert_ne!(second["lastTransitionTime"], conflicted["lastTransitionTime"]);
    scene.delete("services", "web");
    until_condition(&scene, "second", "TargetNotFound");
    until_condition(&scene, "third", "TargetNotFound");
}

#[test]
fn one_that_was_written_before_the_schema_was_made_stricter() {
    const DEFINITION: &str =
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/trafficpolicies.etm.dev";
    let scene = Scene::controlled();
    scene.service("web");
    let api = scene.cluster.api();
    let definition = api.get(DEFINITION).expect("an answer").expect("a definition");
    let versions = &definition["spec"]["versions"];
    let mut lenient = versions.clone();
    let weight = "/0/schema/openAPIV3Schema/properties/spec/properties/loadBalancing/properties\
                  /weights/properties/services/items/properties/weight";
    *lenient.pointer_mut(weight).expect("a field") = json!({"type": "integer", "format": "int32"});
    api.merge(DEFINITION, &json!({"spec": {"versions": lenient}})).expect("a definition");
    let weights = json!({"services": [{"name": "v1", "weight": 0}]});
    let mut nought = policy("nought", "web", &weights);
    nought["metadata"]["namespace"] = scene.namespace.clone().into();
    let path = scene.path("trafficpolicies", "");
    until("the lenient schema counts", || api.create(&path, &nought).is_ok());
    api.merge(DEFINITION, &json!({"spec": {"versions": versions}})).expect("a definition");
    nought["metadata"]["name"] = "other".into();
    until("the strict schema counts", || {
        let refused = api.create(&path, &nought).is_err();
        if !refused {
            scene.delete("trafficpolicies", "other");
        }
        refused
    });

    let _controller = scene.controller(scene.admin).start().expect("a controller");
    let invalid = until_condition(&scene, "nought", "Invalid");
    assert_eq!(invalid["status"], "False");
    let told = "spec.loadBalancing.weights.services[0].weight 0 is not within 1 and 1000";
    assert!(message(&invalid).contains(told), "{invalid}");
    let mended = json!({"spec": {"loadBalancing": {"weights": null}}});
    api.merge(&scene.path("trafficpolicies", "nought"), &mended).expect("a policy");
    until_condition(&scene, "nought", "Accepted");
}

#[test]
fn nothing_is_written_where_nothing_changes() {
    let scene = Scene::controlled();
    scene.service("web");
    let policies = ["one", "two", "lost"];
    scene.create("trafficpolicies", policy("one", "web", &json!({})));
    scene.create("trafficpolicies", policy("two", "web", &json!({})));
    scene.create("trafficpolicies", policy("lost", "nowhere", &json!({})));
    let controller = scene.controller(scene.admin).start().expect("a controller");
    for name in policies {
        until(name, || condition(&scene, name, "Accepted").is_some());
    }
    let versions = policies.map(|name| version(&scene, name));
    let written = writes(scene.admin);
    // Something that no condition depends on, and several renewals of the Lease.
    let fields = json!({"metadata": {"annotations": {"a": "b"}}});
    scene.cluster.api().merge(&scene.path("services", "web"), &fields).expect("a Service");
    sleep(Duration::from_secs(7));
    assert_eq!(policies.map(|name| version(&scene, name)), versions);
    assert_eq!(writes(scene.admin), written);

    let (status, _) = controller.stop().expect("an end");
    assert!(status.success());
    let _controller = scene.controller(scene.admin).start().expect("a controller");
    until("it leads", || metrics::value(&scene, "etm_leader") == Some(1.0));
    scene.create("trafficpolicies", policy("late", "nowhere", &json!({})));
    until_condition(&scene, "late", "TargetNotFound");
    assert_eq!(policies.map(|name| version(&scene, name)), versions);
    // Those that other tests left are among them.
    assert!(metrics::value(&scene, r#"etm_policies{accepted="false"}"#) >= Some(3.0));
}

#[test]
fn the_kind_may_come_after_the_controller() {
    const WATCH: &str = "watch of trafficpolicies";
    let scene = Scene::controlled();
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let definition = format!("{definitions}/trafficpolicies.etm.dev");
    scene.cluster.api().delete(&definition).expect("no kind");
    until("it is gone", || scene.cluster.api().get(&definition).expect("an answer").is_none());
    let controller = scene.controller(scene.admin).start().expect("a controller");
    assert_eq!(metrics::status(&scene, "/readyz"), 200);
    until("it is told", || metrics::page(&scene, "/problems").contains(WATCH));
    shipped::apply_kinds(scene.cluster);
    scene.create("trafficpolicies", policy("one", "nowhere", &json!({})));
    until_condition(&scene, "one", "TargetNotFound");
    until("it is mended", || metrics::own_problems(&scene).is_empty());
    let warned = controller.stderr().matches(WATCH).count();
    assert_eq!(warned, 2, "once that it is, once that it is mended: {}", controller.stderr());
}
