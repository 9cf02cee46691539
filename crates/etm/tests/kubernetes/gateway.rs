//! Routes of the Gateway API, by its own definitions: what becomes of them in their status.

use serde_json::{Value, json};

use crate::conditions::among;
use crate::scene::{Scene, addresses};
use etm_testkit::wait::{until, until_some};

/// A parent that is a Service.
pub(crate) fn service(name: &str) -> Value {
    json!({"group": "", "kind": "Service", "name": name, "port": 80})
}

/// A route of a kind with these parents and rules.
pub(crate) fn route(kind: &str, name: &str, parents: &[Value], rules: &Value) -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": {"parentRefs": parents, "rules": rules},
    })
}

/// A rule that leads to these Services by weight.
pub(crate) fn to(services: &[(&str, u32)]) -> Value {
    let to =
        services.iter().map(|(name, weight)| json!({"name": name, "port": 80, "weight": weight}));
    json!([{"backendRefs": to.collect::<Vec<_>>()}])
}

/// What this controller says of one parent of a route: a condition.
pub(crate) fn condition(scene: &Scene, path: &str, parent: &str, of: &str) -> Option<Value> {
    let route = scene.cluster.api().get(path).expect("an answer")?;
    let own = route["status"]["parents"].as_array()?.iter().find(|entry| {
        entry["controllerName"] == "etm.dev/controller" && entry["parentRef"]["name"] == parent
    })?;
    among(own, of).cloned()
}

#[track_caller]
pub(crate) fn until_condition(scene: &Scene, path: &str, of: &str, reason: &str) -> Value {
    until_some(&format!("{path} is {of} for {reason}"), || {
        condition(scene, path, "web", of).filter(|condition| condition["reason"] == reason)
    })
}

#[test]
fn a_tcp_route_is_told_what_became_of_it() {
    let scene = Scene::controlled();
    let path = scene.path("tcproutes", "split");
    scene.create(
        "tcproutes",
        route("TCPRoute", "split", &[service("web")], &to(&[("v1", 9), ("v2", 1)])),
    );
    let _controller = scene.controller(scene.admin).start().expect("a controller");
    let lost = until_condition(&scene, &path, "Accepted", "NoMatchingParent");
    assert_eq!((&lost["status"], &lost["observedGeneration"]), (&json!("False"), &json!(1)));
    scene.service("web");
    let accepted = until_condition(&scene, &path, "Accepted", "Accepted");
    assert_eq!(accepted["status"], "True");
    until_condition(&scene, &path, "ResolvedRefs", "BackendNotFound");
    scene.service("v1");
    scene.service("v2");
    // That a backend has no endpoints is no matter of references.
    let resolved = until_condition(&scene, &path, "ResolvedRefs", "ResolvedRefs");
    assert_eq!(resolved["status"], "True");

    let other = json!([{"backendRefs": [{"group": "x.dev", "kind": "Bucket", "name": "b"}]}]);
    scene.apply(route("TCPRoute", "split", &[service("web")], &other));
    let invalid = until_condition(&scene, &path, "ResolvedRefs", "InvalidKind");
    assert_eq!((&invalid["status"], &invalid["observedGeneration"]), (&json!("False"), &json!(2)));

    let away = json!([{"backendRefs": [{"name": "v1", "port": 80, "namespace": "kube-system"}]}]);
    scene.apply(route("TCPRoute", "split", &[service("web")], &away));
    until_condition(&scene, &path, "ResolvedRefs", "RefNotPermitted");

    let mut port = service("web");
    port["port"] = json!(81);
    scene.apply(route("TCPRoute", "split", &[port], &to(&[("v1", 1)])));
    until_condition(&scene, &path, "Accepted", "NoMatchingParent");

    // One that is no longer for a Service loses what was said.
    scene.apply(route("TCPRoute", "split", &[json!({"name": "outer"})], &to(&[("v1", 1)])));
    until("nothing is said any more", || {
        let route = scene.cluster.api().get(&path).expect("an answer").expect("a route");
        route["status"]["parents"] == json!([])
    });
}

#[test]
fn entries_of_other_controllers_stay() {
    let scene = Scene::controlled();
    scene.service("web");
    scene.service("v1");
    let path = scene.path("tcproutes", "split");
    scene.create("tcproutes", route("TCPRoute", "split", &[service("web")], &to(&[("v1", 1)])));
    let other = json!({
        "parentRef": service("web"),
        "controllerName": "example.com/mesh",
        "conditions": [{
            "type": "Accepted",
            "status": "True",
            "reason": "Accepted",
            "message": "by another mesh",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
            "observedGeneration": 1,
        }],
    });
    let said = json!({"status": {"parents": [other]}}).to_string();
    let patch = ["-n", &scene.namespace, "patch", "tcproute", "split", "--subresource=status"];
    let words = [&patch[..], &["--type=merge", "-p", &said]].concat();
    scene.cluster.kubectl(&words).expect("a status");
    let _controller = scene.controller(scene.admin).start().expect("a controller");
    until_condition(&scene, &path, "Accepted", "Accepted");
    scene.delete("services", "v1");
    until_condition(&scene, &path, "ResolvedRefs", "BackendNotFound");
    let route = scene.cluster.api().get(&path).expect("an answer").expect("a route");
    let parents = route["status"]["parents"].as_array().expect("parents");
    assert_eq!((parents.len(), &parents[0]), (2, &other));
}

#[test]
fn http_and_grpc_routes_by_their_weights_alone() {
    let scene = Scene::controlled();
    scene.service("web");
    scene.service("v1");
    scene.slice("v1-1", "v1", &addresses(1));
    let _controller = scene.controller(scene.admin).start().expect("a controller");
    for (kind, plural) in
        [("HTTPRoute", "httproutes"), ("GRPCRoute", "grpcroutes"), ("UDPRoute", "udproutes")]
    {
        let path = scene.path(plural, "split");
        scene.create(plural, route(kind, "split", &[service("web")], &to(&[("v1", 1)])));
        // The Service has no port for UDP.
        let reason = if kind == "UDPRoute" { "NoMatchingParent" } else { "Accepted" };
        until_condition(&scene, &path, "Accepted", reason);
        scene.delete(plural, "split");
    }
    let rule = |fields: Value| {
        let mut rule = to(&[("v1", 1)]);
        rule[0]
            .as_object_mut()
            .expect("a rule")
            .extend(fields.as_object().expect("fields").clone());
        rule
    };
    let header = json!({"headers": [{"name": "x-canary", "value": "yes"}]});
    let remove =
        json!([{"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["a"]}}]);
    let path = scene.path("httproutes", "asks");
    let asking = [
        (json!({"matches": [header]}), "spec.rules[0].matches[0]"),
        (json!({"filters": remove}), "spec.rules[0].filters"),
        (json!({"timeouts": {"request": "10s"}}), "spec.rules[0].timeouts"),
        (json!({"retry": {"attempts": 2}}), "spec.rules[0].retry"),
        (json!({"sessionPersistence": {"sessionName": "a"}}), "spec.rules[0].sessionPersistence"),
    ];
    for (generation, (fields, field)) in (1..).zip(asking) {
        scene.apply(route("HTTPRoute", "asks", &[service("web")], &rule(fields)));
        let refused = until_some(field, || {
            let condition = condition(&scene, &path, "web", "Accepted")?;
            (condition["observedGeneration"] == generation).then_some(condition)
        });
        assert_eq!(
            (&refused["status"], &refused["reason"]),
            (&json!("False"), &json!("UnsupportedValue"))
        );
        let message = refused["message"].as_str().expect("a message");
        assert!(message.starts_with(field) && message.contains("layer 7"), "{message}");
    }
    scene.apply(route("HTTPRoute", "asks", &[service("web")], &to(&[("v1", 1)])));
    until_condition(&scene, &path, "Accepted", "Accepted");
}

#[test]
fn a_route_of_its_callers_namespace() {
    let scene = Scene::controlled();
    let other = scene.cluster.namespace().expect("a namespace");
    scene.service("v1");
    let web = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": other},
        "spec": {"ports": [{"name": "http", "port": 80}]},
    });
    scene.cluster.api().apply(&other, &[web]).expect("a Service");
    let mut parent = service("web");
    parent["namespace"] = json!(other);
    let path = scene.path("tcproutes", "ours");
    scene.create("tcproutes", route("TCPRoute", "ours", &[parent], &to(&[("v1", 1)])));
    let _controller = scene.controller(scene.admin).start().expect("a controller");
    until_condition(&scene, &path, "Accepted", "Accepted");
    until_condition(&scene, &path, "ResolvedRefs", "ResolvedRefs");
}
