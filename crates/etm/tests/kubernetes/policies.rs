//! Traffic policies: what the API server refuses, and what the agent makes of the others.

use serde_json::{Value, json};

use crate::metrics;
use crate::scene::Scene;
use crate::shipped;
use etm_testkit::wait::until;

/// A policy of a Service with these weights.
pub(crate) fn policy(name: &str, service: &str, weights: &Value) -> Value {
    json!({
        "apiVersion": "etm.dev/v1alpha1",
        "kind": "TrafficPolicy",
        "metadata": {"name": name},
        "spec": {"targetRef": {"name": service}, "loadBalancing": {"weights": weights}},
    })
}

/// What kubectl is told of a policy with this spec, where it is refused.
pub(crate) fn refusal(scene: &Scene, spec: &Value) -> Option<String> {
    let object = json!({
        "apiVersion": "etm.dev/v1alpha1",
        "kind": "TrafficPolicy",
        "metadata": {"name": "bad", "namespace": scene.namespace},
        "spec": spec,
    });
    let file = scene.state.path().join("policy.json");
    std::fs::write(&file, object.to_string()).expect("a file");
    let file = file.to_str().expect("a path");
    let outcome = scene.cluster.kubectl(&["create", "--dry-run=server", "-f", file]);
    outcome.err().map(|error| error.to_string())
}

#[test]
fn the_api_server_refuses_what_makes_no_sense() {
    let scene = Scene::policies();
    let services = |services: Value| json!({"weights": {"services": services}});
    let many: Vec<_> = (0..17).map(|i| json!({"name": format!("v{i}"), "weight": 1})).collect();
    let hash = |fields: Value| json!({"algorithm": "ConsistentHash", "consistentHash": {"fields": fields}});
    let not_ready = "to take a Pod out of service, make it not ready";
    let one_to = "should be less than or equal to 1000";
    let take_away = "set that, or take consistentHash away";
    for (balancing, told) in [
        (json!({"algorithm": "Fastest"}), &["\"Fastest\"", "\"Random\", \"LeastConnections\""][..]),
        (json!({"consistentHash": {}}), &["consistentHash needs algorithm", take_away]),
        (json!({"algorithm": "LeastConnections", "consistentHash": {}}), &[take_away]),
        (hash(json!([])), &["fields", "should have at least 1 items"]),
        (hash(json!(["callerPod", "callerPod"])), &["fields[1]: Duplicate value: \"callerPod\""]),
        (hash(json!(["callerPod", "color"])), &["fields[1]", "\"color\"", "\"callerNamespace\""]),
        (services(json!([{"name": "v1", "weight": 0}])), &["services[0].weight", not_ready]),
        (services(json!([{"name": "v1", "weight": -1}])), &["services[0].weight", not_ready]),
        (services(json!([{"name": "v1", "weight": 1001}])), &["services[0].weight", one_to]),
        (services(json!([{"name": "v1", "weight": "1"}])), &["services[0].weight", "integer"]),
        (services(json!([{"name": "v1"}])), &["services[0].weight: Required value"]),
        (services(json!([{"name": "", "weight": 1}])), &["services[0].name", "at least 1 chars"]),
        (services(json!(many)), &["services: Too many: 17: must have at most 16 items"]),
        (
            services(json!([{"name": "v1", "weight": 1}, {"name": "v1", "weight": 2}])),
            &["services[1]: Duplicate value", "v1"],
        ),
        (json!({"weights": {"podAnnotation": "yes"}}), &["podAnnotation", "boolean"]),
        (json!({"algoritm": "Random"}), &["unknown field \"spec.loadBalancing.algoritm\""]),
    ] {
        let spec = json!({"targetRef": {"name": "cart"}, "loadBalancing": balancing});
        let error = refusal(&scene, &spec).unwrap_or_else(|| panic!("{spec} is taken"));
        assert!(told.iter().all(|part| error.contains(part)), "{spec}: {error}");
    }
    for (target, told) in [
        (json!({}), "spec.targetRef.name: Required value"),
        (json!({"name": ""}), "spec.targetRef.name"),
        (json!({"name": "cart", "port": ""}), "spec.targetRef.port"),
        (json!({"name": "cart", "kind": "Service"}), "unknown field \"spec.targetRef.kind\""),
    ] {
        let error = refusal(&scene, &json!({"targetRef": target})).expect("a refusal");
        assert!(error.contains(told), "{target}: {error}");
    }
    let error = refusal(&scene, &json!({})).expect("a refusal");
    assert!(error.contains("spec.targetRef: Required value"), "{error}");
    let whole = json!({
        "targetRef": {"name": "cart", "port": "http"},
        "loadBalancing": {
            "algorithm": "ConsistentHash",
            "consistentHash": {"fields": ["callerPod", "servicePort"]},
            "weights": {"services": [{"name": "v1", "weight": 1000}], "podAnnotation": true},
        },
    });
    assert_eq!(refusal(&scene, &whole), None);
}

#[test]
fn defaults_are_filled_in_and_shown() {
    let scene = Scene::policies();
    let mut plain = policy("plain", "cart", &json!({}));
    plain["spec"] = json!({"targetRef": {"name": "cart"}});
    let made = scene.create("trafficpolicies", plain);
    assert_eq!(made["spec"]["loadBalancing"], json!({"algorithm": "Random"}));
    assert_eq!(made["spec"]["refusal"], "ConnectionRefused");
    assert_eq!(made["spec"]["staleConnections"], json!({"tcp": "Keep", "udp": "End"}));
    assert_eq!(made["spec"]["health"], Value::Null, "what says nothing is told from what does");
    let shown = ["get", "tp", "--namespace", &scene.namespace];
    let shown = scene.cluster.kubectl(&shown).expect("a table");
    let rows: Vec<Vec<&str>> = shown.lines().map(|row| row.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["NAME", "SERVICE", "ALGORITHM", "ACCEPTED", "AGE"]);
    assert_eq!(rows[1][..3], ["plain", "cart", "Random"]);
}

/// The problems of objects whose names begin so: fields and reasons.
fn told(scene: &Scene, object: &str) -> Vec<(String, String)> {
    let page: Value = serde_json::from_str(&metrics::page(scene, "/problems")).expect("JSON");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let problems = page.as_array().expect("a list").iter();
    let own = problems.filter(|problem| text(&problem["object"]).starts_with(object));
    own.map(|problem| (text(&problem["field"]), text(&problem["reason"]))).collect()
}

/// Waits until exactly these fields of an object are told of.
#[track_caller]
fn until_told(scene: &Scene, object: &str, fields: &[&str]) {
    until(&format!("{object}: {fields:?}"), || {
        told(scene, object).iter().map(|(field, _)| field.as_str()).eq(fields.iter().copied())
    });
}

#[test]
fn a_policy_counts_once_its_service_is_there() {
    let scene = Scene::policies();
    let _agent = scene.agent().start().expect("an agent");
    scene.create("trafficpolicies", policy("calm", "web", &json!({})));
    let object = format!("TrafficPolicy {}/calm", scene.namespace);
    until_told(&scene, &object, &["spec.targetRef.name"]);
    scene.service("web");
    until_told(&scene, &object, &[]);
    let mut named = policy("calm", "web", &json!({}));
    named["spec"]["targetRef"]["port"] = json!("dns");
    scene.apply(named);
    until_told(&scene, &object, &["spec.targetRef.port"]);
    scene.delete("trafficpolicies", "calm");
    until_told(&scene, &object, &[]);
}

#[test]
fn of_two_policies_one_is_told_of_the_other() {
    let scene = Scene::policies();
    let web = scene.service("web");
    scene.create("trafficpolicies", policy("first", "web", &json!({})));
    scene.create("trafficpolicies", policy("second", "web", &json!({})));
    let _agent = scene.agent().start().expect("an agent");
    scene.until_members(web, Some(0));
    let name = |policy: &str| format!("TrafficPolicy {}/{policy}", scene.namespace);
    until_told(&scene, &name("second"), &["spec.targetRef"]);
    let (_, reason) = &told(&scene, &name("second"))[0];
    assert!(reason.starts_with(&name("first")), "{reason}");
    assert_eq!(told(&scene, &name("first")), []);
    scene.delete("trafficpolicies", "first");
    until_told(&scene, &name("second"), &[]);
}

#[test]
fn pods_are_looked_at_where_a_policy_asks_for_their_weights() {
    let scene = Scene::policies();
    scene.service("web");
    let account = json!({
        "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"},
    });
    scene.apply(account);
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web-1", "annotations": {"etm.dev/weight": "heavy"}},
        "spec": {"nodeName": "elsewhere", "containers": [{"name": "a", "image": "a"}]},
    });
    scene.create("pods", pod);
    let _agent = scene.agent().start().expect("an agent");
    let received = || {
        let metric = r#"etm_watch_received_bytes_total{watch="podmetadata"}"#;
        metrics::value(&scene, metric)
    };
    let object = format!("Pod {}/web-1", scene.namespace);
    scene.create("trafficpolicies", policy("fair", "web", &json!({"services": []})));
    scene.apply(policy("lost", "nowhere", &json!({})));
    until_told(
        &scene,
        &format!("TrafficPolicy {}/lost", scene.namespace),
        &["spec.targetRef.name"],
    );
    assert_eq!((received(), told(&scene, &object)), (Some(0.0), vec![]));

    scene.apply(policy("fair", "web", &json!({"podAnnotation": true})));
    until_told(&scene, &object, &["metadata.annotations[etm.dev/weight]"]);
    assert!(received() > Some(0.0));
    scene.apply(policy("fair", "web", &json!({"podAnnotation": false})));
    until_told(&scene, &object, &[]);
}

#[test]
fn the_kind_may_come_after_the_agent() {
    const WATCH: &str = "watch of trafficpolicies";
    let scene = Scene::bare();
    let web = scene.service("web");
    let agent = scene.agent().start().expect("an agent");
    metrics::until_ready(&scene);
    scene.until_members(web, Some(0));
    until_told(&scene, WATCH, &[""]);
    let errors = r#"etm_watch_errors_total{watch="trafficpolicies",cause="404"}"#;
    assert_eq!(metrics::value(&scene, errors), None);

    shipped::apply_kinds(scene.cluster);
    scene.create("trafficpolicies", policy("calm", "nowhere", &json!({})));
    let object = format!("TrafficPolicy {}/calm", scene.namespace);
    until_told(&scene, &object, &["spec.targetRef.name"]);
    until_told(&scene, WATCH, &[]);
    let warned = agent.stderr().matches(WATCH).count();
    assert_eq!(warned, 2, "once that it is, once that it is mended: {}", agent.stderr());

    // What goes with the kind counts no more.
    let definition = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let api = scene.cluster.api();
    api.delete(&format!("{definition}/trafficpolicies.etm.dev")).expect("no kind");
    until_told(&scene, &object, &[]);
    until_told(&scene, WATCH, &[""]);
}
