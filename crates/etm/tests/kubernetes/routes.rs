//! Traffic routes: what the API server refuses, and what the agent makes of the others.

use serde_json::{Value, json};

use crate::metrics;
use crate::scene::{Scene, addresses};
use etm_testkit::wait::until;

/// A route of a Service with these rules.
pub(crate) fn route(name: &str, service: &str, rules: &Value) -> Value {
    json!({
        "apiVersion": "etm.dev/v1alpha1",
        "kind": "TrafficRoute",
        "metadata": {"name": name},
        "spec": {"targetRef": {"name": service}, "rules": rules},
    })
}

/// A rule for everyone that leads to these Services by weight.
pub(crate) fn to(services: &[(&str, u32)]) -> Value {
    let to =
        services.iter().map(|(name, weight)| json!({"service": {"name": name}, "weight": weight}));
    json!([{"to": to.collect::<Vec<_>>()}])
}

/// What kubectl is told of a route with this spec, where it is refused.
fn refusal(scene: &Scene, spec: &Value) -> Option<String> {
    let mut object = route("bad", "cart", &json!([]));
    object["metadata"]["namespace"] = json!(scene.namespace);
    object["spec"] = spec.clone();
    let words = ["create", "--dry-run=server", "-f", "-"];
    let outcome = scene.cluster.kubectl_with(&words, &object.to_string());
    outcome.err().map(|error| error.to_string())
}

#[test]
fn the_api_server_refuses_what_makes_no_sense() {
    let scene = Scene::policies();
    let deny = json!({"deny": true});
    let v2 = json!({"service": {"name": "v2"}});
    let from = |from: Value| json!([{"from": [from], "deny": true}]);
    let to = |to: Value| json!([{"to": to}]);
    let percent = |percent: Value| json!([{"percent": percent, "deny": true}]);
    let labels = |labels: Value| from(json!({"podSelector": labels}));
    let expression = |expression: Value| labels(json!({"matchExpressions": [expression]}));
    let either = "a rule has either deny: true or to";
    let expressions = "In and NotIn need values, Exists and DoesNotExist have none";
    for (rules, told) in [
        (json!([]), &["spec.rules", "should have at least 1 items"][..]),
        (json!(vec![deny.clone(); 65]), &["spec.rules: Too many: 65: must have at most 64 items"]),
        (json!([{}]), &["spec.rules[0]", either]),
        (json!([{"deny": false}]), &["spec.rules[0]", either]),
        (json!([{"deny": true, "to": [v2]}]), &["spec.rules[0]", either]),
        (to(json!([])), &["spec.rules[0].to", "should have at least 1 items"]),
        (to(json!(vec![v2.clone(); 17])), &["to: Too many: 17: must have at most 16 items"]),
        (to(json!([{"service": {"name": "v2"}, "weight": 0}])), &["the weights of to sum to 0"]),
        (to(json!([{"service": {"name": "v2"}, "weight": -1}])), &["to[0].weight", "0"]),
        (to(json!([{"service": {"name": "v2"}, "weight": 1_000_001}])), &["to[0].weight", "1e+06"]),
        (to(json!([{"weight": 1}])), &["a destination has either service or subset"]),
        (to(json!([{"service": {"name": ""}}])), &["to[0].service.name", "at least 1 chars"]),
        (to(json!([{"service": {"name": "v2", "port": 0}}])), &["to[0].service.port", "65535"]),
        (to(json!([{"subset": {}}])), &["to[0].subset", "matchLabels, matchExpressions or both"]),
        (percent(json!(-1)), &["spec.rules[0].percent", "greater than or equal to 0"]),
        (percent(json!(100.01)), &["spec.rules[0].percent", "less than or equal to 100"]),
        (percent(json!(0.001)), &["spec.rules[0].percent", "multiple of 0.01"]),
        (percent(json!("5%")), &["spec.rules[0].percent", "must be of type number"]),
        (json!([{"salt": "a", "deny": true}]), &["salt says which callers percent takes"]),
        (from(json!({})), &["spec.rules[0].from[0]", "says nothing of callers"]),
        (from(json!({"namespaces": []})), &["from[0].namespaces", "at least 1 items"]),
        (from(json!({"nodes": [""]})), &["from[0].nodes[0]", "at least 1 chars"]),
        (
            from(json!({"addressBlocks": ["10.0.0.0"]})),
            &["addressBlocks", "10.0.0.0/8 or fd00::/8"],
        ),
        (labels(json!({})), &["podSelector", "matchLabels, matchExpressions or both"]),
        (labels(json!({"matchLabels": {}})), &["matchLabels", "at least 1 properties"]),
        (expression(json!({"key": "a", "operator": "In"})), &[expressions]),
        (expression(json!({"key": "a", "operator": "Exists", "values": ["b"]})), &[expressions]),
        (expression(json!({"key": "a", "operator": "Like"})), &["\"Like\"", "\"DoesNotExist\""]),
        (json!([{"too": [], "deny": true}]), &["unknown field \"spec.rules[0].too\""]),
    ] {
        let spec = json!({"targetRef": {"name": "cart"}, "rules": rules});
        let error = refusal(&scene, &spec).unwrap_or_else(|| panic!("{spec} is taken"));
        assert!(told.iter().all(|part| error.contains(part)), "{spec}: {error}");
    }
    for (target, told) in [
        (json!({}), "spec.targetRef.name: Required value"),
        (json!({"name": "cart", "port": ""}), "a port is its name, or a number from 1 to 65535"),
        (json!({"name": "cart", "port": 65536}), "a port is its name, or a number from 1 to 65535"),
        (json!({"name": "cart", "kind": "Service"}), "unknown field \"spec.targetRef.kind\""),
    ] {
        let spec = json!({"targetRef": target, "rules": [deny]});
        let error = refusal(&scene, &spec).expect("a refusal");
        assert!(error.contains(told), "{target}: {error}");
    }
}

#[test]
fn the_api_server_takes_all_that_there_is() {
    let scene = Scene::policies();
    let selector = json!({
        "matchLabels": {"app": "cart"},
        "matchExpressions": [
            {"key": "track", "operator": "NotIn", "values": ["old"]},
            {"key": "team", "operator": "Exists"},
        ],
    });
    let from = json!({
        "namespaces": ["shop"],
        "namespaceSelector": selector,
        "podSelector": selector,
        "serviceAccounts": ["cart"],
        "nodes": ["one"],
        "addressBlocks": ["10.0.0.0/8", "fd00::/8"],
    });
    let to = json!([
        {"service": {"name": "v2", "namespace": "lab", "port": "http"}, "weight": 1_000_000},
        {"service": {"name": "v1", "port": 80}, "weight": 0},
        {"subset": selector},
    ]);
    for percent in [json!(0), json!(0.01), json!(0.29), json!(33.33), json!(99.99), json!(100)] {
        let rules = json!([
            {"name": "some", "from": [from], "percent": percent, "salt": "spring", "to": to},
            {"from": [from], "deny": true},
        ]);
        let spec = json!({"targetRef": {"name": "cart", "port": 80}, "rules": rules});
        assert_eq!(refusal(&scene, &spec), None, "{percent}");
    }
    // As large as it may be.
    let rule = json!({"from": vec![from; 16], "to": vec![to[2].clone(); 16]});
    let spec = json!({"targetRef": {"name": "cart"}, "rules": vec![rule; 64]});
    assert_eq!(refusal(&scene, &spec), None);
    let made = scene.create(
        "trafficroutes",
        route("plain", "cart", &json!([{"to": [{"service": {"name": "v2"}}]}])),
    );
    assert_eq!(made["spec"]["rules"][0]["to"][0]["weight"], 1);
    let shown = scene.cluster.kubectl(&["get", "tr", "--namespace", &scene.namespace]);
    let shown = shown.expect("a table");
    let rows: Vec<Vec<&str>> = shown.lines().map(|row| row.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["NAME", "SERVICE", "ACCEPTED", "REASON", "AGE"]);
    assert_eq!(rows[1][..2], ["plain", "cart"]);
}

/// What an agent tells of an object: fields.
pub(crate) fn told(scene: &Scene, object: &str) -> Vec<String> {
    let page: Value = serde_json::from_str(&metrics::page(scene, "/problems")).expect("JSON");
    let problems = page.as_array().expect("a list").iter();
    let own = problems.filter(|problem| problem["object"] == object);
    own.map(|problem| problem["field"].as_str().expect("a text").to_owned()).collect()
}

fn received(scene: &Scene, watch: &str) -> f64 {
    let metric = format!(r#"etm_watch_received_bytes_total{{watch="{watch}"}}"#);
    metrics::value(scene, &metric).expect("a figure")
}

#[test]
fn an_agent_tells_of_a_route_without_its_service() {
    let scene = Scene::policies();
    scene.service("v2");
    scene.slice("v2-1", "v2", &addresses(1));
    scene.create("trafficroutes", route("split", "web", &to(&[("v2", 1)])));
    let _agent = scene.agent().start().expect("an agent");
    let object = format!("TrafficRoute {}/split", scene.namespace);
    until("it is told", || told(&scene, &object) == ["spec.targetRef"]);
    scene.service("web");
    until("it is mended", || told(&scene, &object).is_empty());
    scene.apply(route("split", "web", &to(&[("v3", 1)])));
    until("a destination is missing", || told(&scene, &object) == ["spec.rules[0].to[0]"]);
    scene.delete("trafficroutes", "split");
    until("it is gone", || told(&scene, &object).is_empty());
}

#[test]
fn labels_are_looked_at_while_a_route_asks_for_them() {
    let scene = Scene::policies();
    scene.service("web");
    let account = json!({
        "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"},
    });
    scene.apply(account);
    scene.create(
        "pods",
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "web-1", "labels": {"version": "2"}},
            "spec": {"nodeName": "elsewhere", "containers": [{"name": "a", "image": "a"}]},
        }),
    );
    // Other tests' policies on this API server ask for weights, each in its own namespace.
    let _agent = scene.agent().start().expect("an agent");
    assert_eq!(received(&scene, "namespaces"), 0.0);
    let labels = json!({"matchLabels": {"version": "2"}});
    let rules = json!([
        {"from": [{"namespaceSelector": labels}], "to": [{"subset": labels}]},
    ]);
    scene.create("trafficroutes", route("split", "web", &rules));
    until("namespaces are listed", || received(&scene, "namespaces") > 0.0);
    until("Pods are listed", || received(&scene, "podmetadata") > 0.0);
}
