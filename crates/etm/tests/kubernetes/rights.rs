//! The agent with exactly the rights that are shipped.

use std::thread;

use serde_json::{Value, json};

use crate::events::{REPORTS, create_node};
use crate::scene::{Scene, addresses, slice};
use crate::shipped::{self, ACCOUNT, NAMESPACE};
use crate::{gateway, metrics, policies, releases, routes};
use etm_testkit::wait::until;

const WATCHES: [&str; 14] = [
    "services",
    "endpointslices",
    "node",
    "pods",
    "trafficpolicies",
    "trafficroutes",
    "nodehealths",
    "releases",
    "namespaces",
    "tcproutes",
    "udproutes",
    "grpcroutes",
    "httproutes",
    "referencegrants",
];

/// The watch that needs a resource.
fn watch_of(resource: &str) -> &str {
    if resource == "nodes" { "node" } else { resource }
}

/// Watches that the API server has refused something.
fn refused(scene: &Scene) -> Vec<&'static str> {
    let refused = |watch: &str| {
        let metric = format!(r#"etm_watch_errors_total{{watch="{watch}",cause="403"}}"#);
        metrics::value(scene, &metric).is_some_and(|count| count > 0.0)
    };
    WATCHES.into_iter().filter(|watch| refused(watch)).collect()
}

fn received(scene: &Scene, watch: &str) -> Option<f64> {
    metrics::value(scene, &format!(r#"etm_watch_received_bytes_total{{watch="{watch}"}}"#))
}

/// A route that asks for the labels of namespaces.
fn asking(name: &str) -> Value {
    let labels = json!({"matchLabels": {"team": name}});
    let rules = json!([{"from": [{"namespaceSelector": labels}], "deny": true}]);
    routes::route(name, "web", &rules)
}

/// Follows with the shipped account, and hears of a change of every kind.
fn follows(scene: &Scene) {
    shipped::apply(scene.cluster);
    shipped::apply_gateway_kinds(scene.cluster);
    scene.create("trafficroutes", asking("first"));
    let account = json!({
        "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"},
    });
    scene.apply(account);
    let kubeconfig = scene.cluster.service_account(NAMESPACE, ACCOUNT).expect("a token");
    let agent = scene.agent_with(&kubeconfig).start().expect("an agent");
    metrics::until_ready(scene);
    until("all is listed", || WATCHES.iter().all(|watch| received(scene, watch) > Some(0.0)));
    let before = WATCHES.map(|watch| received(scene, watch));
    let named = json!({"metadata": {"labels": {"team": "a"}}});
    let path = format!("/api/v1/namespaces/{}", scene.namespace);
    scene.cluster.api().merge(&path, &named).expect("a namespace");

    let web = scene.service("web");
    scene.slice("web-1", "web", &addresses(1));
    scene.until_members(web, Some(1));
    scene.apply(slice("web-1", "web", &addresses(2)).into());
    scene.until_members(web, Some(2));
    let name = &scene.namespace;
    create_node(scene, name);
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web"},
        "spec": {"nodeName": name, "containers": [{"name": "a", "image": "a"}]},
    });
    scene.create("pods", pod);
    scene.create("trafficpolicies", policies::policy("calm", "web", &json!({})));
    scene.create("trafficroutes", asking("second"));
    for (kind, plural) in [
        ("TCPRoute", "tcproutes"),
        ("UDPRoute", "udproutes"),
        ("GRPCRoute", "grpcroutes"),
        ("HTTPRoute", "httproutes"),
    ] {
        scene.create(plural, gateway::route(kind, "split", &[], &gateway::to(&[("web", 1)])));
    }
    scene.create(
        "referencegrants",
        json!({
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "ReferenceGrant",
            "metadata": {"name": "open"},
            "spec": {
                "from": [{"group": "etm.dev", "kind": "TrafficRoute", "namespace": "shop"}],
                "to": [{"group": "", "kind": "Service"}],
            },
        }),
    );
    let health = json!({
        "apiVersion": "etm.dev/v1alpha1",
        "kind": "NodeHealth",
        "metadata": {"name": "cluster"},
        "spec": {},
    });
    scene.cluster.api().create("/apis/etm.dev/v1alpha1/nodehealths", &health).expect("an object");
    scene.create("releases", releases::release("one", &json!({"blueGreen": {}})));
    for (watch, before) in WATCHES.iter().zip(before) {
        until(&format!("{watch} heard of it"), || received(scene, watch) > before);
    }
    let report = format!("{REPORTS}/{name}");
    until("it reports", || scene.cluster.api().get(&report).expect("an answer").is_some());
    assert_eq!(refused(scene), [""; 0], "{}", agent.stderr());
    assert_eq!(metrics::own_problems(scene), [Value::Null; 0]);
}

#[test]
fn they_suffice() {
    follows(&Scene::new());
}

#[test]
fn they_suffice_where_lists_are_not_streamed() {
    follows(&Scene::paging());
}

/// One rule for each resource with its verbs.
fn rights() -> Vec<(Value, String, Vec<String>)> {
    let objects = shipped::objects(Scene::paging().cluster);
    let texts = |values: &Value| -> Vec<String> {
        let values = values.as_array().expect("a list").iter();
        values.map(|value| value.as_str().expect("a text").to_owned()).collect()
    };
    let rules =
        shipped::object(&objects, "ClusterRole", ACCOUNT)["rules"].as_array().expect("rules");
    let rights = rules.iter().flat_map(|rule| {
        let resources = texts(&rule["resources"]).into_iter();
        resources.map(|resource| (rule["apiGroups"].clone(), resource, texts(&rule["verbs"])))
    });
    rights.collect()
}

/// An agent without one of the shipped rights says what suffers, and nothing else does.
fn misses(rights: &[(Value, String, Vec<String>)], verb: &str, resource: &str) {
    let scene = Scene::paging();
    let api = scene.cluster.api();
    let name = format!("without-{verb}-{resource}");
    let rules: Vec<Value> = rights
        .iter()
        .map(|(groups, of, verbs)| {
            let left = verbs.iter().filter(|&other| (other.as_str(), &**of) != (verb, resource));
            json!({"apiGroups": groups, "resources": [of], "verbs": left.collect::<Vec<_>>()})
        })
        .collect();
    let group = "rbac.authorization.k8s.io";
    let role = json!({
        "apiVersion": format!("{group}/v1"),
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": rules,
    });
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}});
    let binding = json!({
        "apiVersion": format!("{group}/v1"),
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": scene.namespace}],
    });
    api.apply(&scene.namespace, &[role, account, binding]).expect("objects");
    for (_, of, verbs) in rights {
        for left in verbs.iter().filter(|left| (left.as_str(), &**of) != (verb, resource)) {
            shipped::until_allowed(scene.cluster, &scene.namespace, &name, left, of);
        }
    }
    scene.create("trafficroutes", asking("split"));
    let kubeconfig = scene.cluster.service_account(&scene.namespace, &name).expect("a token");
    let _agent = scene.agent_with(&kubeconfig).start().expect("an agent");
    if resource == "nodereports" {
        create_node(&scene, &scene.namespace);
        until_told(&scene, &format!("NodeReport {}", scene.namespace));
        return assert_eq!(refused(&scene), [""; 0]);
    }
    let watch = watch_of(resource);
    until(&format!("{verb} of {resource} is missed"), || !refused(&scene).is_empty());
    assert_eq!(refused(&scene), [watch], "without {verb} of {resource}");
    until_told(&scene, &format!("watch of {watch}"));
}

/// Waits until the agent tells that something is forbidden.
fn until_told(scene: &Scene, told: &str) {
    until(told, || {
        let problems = metrics::page(scene, "/problems");
        problems.contains(told) && problems.contains("403")
    });
}

#[test]
fn none_of_them_is_too_many() {
    let rights = rights();
    let each = rights.iter().flat_map(|(_, resource, verbs)| {
        verbs.iter().map(move |verb| (verb.as_str(), resource.as_str()))
    });
    let each: Vec<_> = each.collect();
    assert_eq!(each.len(), 30);
    // As many agents at once as start in time: each loads its programs first.
    for some in each.chunks(5) {
        thread::scope(|scope| {
            for (verb, resource) in some {
                let rights = &rights;
                scope.spawn(move || misses(rights, verb, resource));
            }
        });
    }
}
