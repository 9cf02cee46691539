//! The conditions of traffic routes, as `etm controller` writes them.

use serde_json::{Value, json};

use crate::conditions::{condition_of, writes};
use crate::metrics;
use crate::routes::{route, to};
use crate::scene::{Scene, addresses};
use etm_testkit::wait::until_some;

fn condition(scene: &Scene, name: &str, of: &str) -> Option<Value> {
    condition_of(scene, ("trafficroutes", name), of)
}

/// Waits until a condition has this reason, and gives it.
#[track_caller]
pub(crate) fn until_condition(scene: &Scene, name: &str, of: &str, reason: &str) -> Value {
    until_some(&format!("{name} is {of} for {reason}"), || {
        condition(scene, name, of).filter(|condition| condition["reason"] == reason)
    })
}

#[test]
fn each_reason_comes_and_goes() {
    let scene = Scene::controlled();
    scene.create("trafficroutes", route("split", "web", &to(&[("v2", 1)])));
    let controller = scene.controller(scene.admin).start().expect("a controller");
    let lost = until_condition(&scene, "split", "Accepted", "TargetNotFound");
    assert_eq!((&lost["status"], &lost["observedGeneration"]), (&json!("False"), &json!(1)));
    scene.service("web");
    let missing = until_condition(&scene, "split", "ResolvedRefs", "BackendNotFound");
    let message = missing["message"].as_str().expect("a message");
    assert!(message.starts_with("spec.rules[0].to[0]"), "{message}");
    // Traffic stays as it was until all of it is there.
    let refused = until_condition(&scene, "split", "Accepted", "BackendNotFound");
    assert_eq!(refused["status"], "False");
    scene.service("v2");
    let accepted = until_condition(&scene, "split", "Accepted", "Accepted");
    assert_eq!(accepted["status"], "True");
    until_condition(&scene, "split", "ResolvedRefs", "NoEndpoints");
    scene.slice("v2-1", "v2", &addresses(1));
    let resolved = until_condition(&scene, "split", "ResolvedRefs", "ResolvedRefs");
    assert_eq!(resolved["status"], "True");

    // An older route comes first.
    let mut named = route("named", "web", &to(&[("v2", 1)]));
    named["spec"]["targetRef"]["port"] = json!("grpc");
    scene.create("trafficroutes", named);
    until_condition(&scene, "named", "Accepted", "PortNotFound");
    let shown = scene.cluster.kubectl(&["get", "tr", "--namespace", &scene.namespace]);
    let shown = shown.expect("a table");
    assert!(shown.contains("PortNotFound"), "{shown}");

    // Nothing more is written once all is said.
    let before = writes(scene.admin);
    scene.slice("web-1", "web", &addresses(3));
    assert_eq!(writes(scene.admin), before);
    let accepted = r#"etm_routes{accepted="true"}"#;
    // Those that other tests left are among them.
    assert!(metrics::value(&scene, accepted) >= Some(1.0));
    assert_eq!(metrics::own_problems(&scene), [Value::Null; 0], "{}", controller.stderr());
}

#[test]
fn another_namespace_has_to_permit_it() {
    let scene = Scene::controlled();
    let other = scene.cluster.namespace().expect("a namespace");
    scene.service("web");
    let rules = json!([{"to": [{"service": {"name": "v2", "namespace": other}}]}]);
    scene.create("trafficroutes", route("split", "web", &rules));
    let in_other = |object: Value| {
        scene.cluster.api().apply(&other, &[object]).expect("an object");
    };
    in_other(json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "v2", "namespace": other},
        "spec": {"ports": [{"name": "http", "port": 80}]},
    }));
    let mut slice: Value = crate::scene::slice("v2-1", "v2", &addresses(1)).into();
    slice["metadata"]["namespace"] = json!(other);
    if let Some(metadata) = slice["metadata"].as_object_mut() {
        metadata.remove("uid");
    }
    in_other(slice);
    let _controller = scene.controller(scene.admin).start().expect("a controller");
    until_condition(&scene, "split", "ResolvedRefs", "RefNotPermitted");
    in_other(json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "ReferenceGrant",
        "metadata": {"name": "open", "namespace": other},
        "spec": {
            "from": [{"group": "etm.dev", "kind": "TrafficRoute", "namespace": scene.namespace}],
            "to": [{"group": "", "kind": "Service"}],
        },
    }));
    until_condition(&scene, "split", "ResolvedRefs", "ResolvedRefs");
    let grant =
        format!("/apis/gateway.networking.k8s.io/v1/namespaces/{other}/referencegrants/open");
    scene.cluster.api().delete(&grant).expect("no grant");
    until_condition(&scene, "split", "ResolvedRefs", "RefNotPermitted");
}

#[test]
fn subsets_are_those_of_the_pods_that_there_are() {
    let scene = Scene::controlled();
    scene.service("web");
    let account = json!({
        "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"},
    });
    scene.apply(account);
    let pod = |version: &str| {
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "web-1", "labels": {"version": version}},
            "spec": {"nodeName": "elsewhere", "containers": [{"name": "a", "image": "a"}]},
        })
    };
    scene.create("pods", pod("1"));
    let mut slice: Value = crate::scene::slice("web-1", "web", &addresses(1)).into();
    slice["endpoints"][0]["targetRef"] =
        json!({"kind": "Pod", "name": "web-1", "namespace": scene.namespace});
    scene.apply(slice);
    let rules = json!([{"to": [{"subset": {"matchLabels": {"version": "2"}}}]}]);
    scene.create("trafficroutes", route("split", "web", &rules));
    let _controller = scene.controller(scene.admin).start().expect("a controller");
    until_condition(&scene, "split", "Accepted", "Accepted");
    until_condition(&scene, "split", "ResolvedRefs", "NoEndpoints");
    let labels = ["label", "--overwrite", "pod", "web-1", "version=2", "-n", &scene.namespace];
    scene.cluster.kubectl(&labels).expect("a label");
    until_condition(&scene, "split", "ResolvedRefs", "ResolvedRefs");
}
