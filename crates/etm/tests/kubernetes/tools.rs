//! What tools for releases write to routes, replayed on a real API server: each write as the tool
//! makes it, read and replaced as a whole, by the version of the kind that the tool speaks.

use std::time::Duration;

use etm_model::{Action, Change, ObjectName, Route, RouteKind, RouteOwner};
use etm_source::kubernetes::{Kubernetes, Options};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use crate::gateway::{service, until_condition};
use crate::scene::Scene;

const GROUP: &str = "gateway.networking.k8s.io";

/// The API server as an agent follows it.
struct Follower {
    runtime: Runtime,
    source: Kubernetes,
    owner: RouteOwner,
}

impl Follower {
    fn new(scene: &Scene, kind: RouteKind, name: &str) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let options = Options {
            kubeconfig: Some(scene.cluster.kubeconfig().to_owned()),
            source: etm_source::Options {
                node: scene.namespace.clone(),
                ..etm_source::Options::default()
            },
            ..Options::default()
        };
        let source = runtime.block_on(Kubernetes::open(options)).expect("a source");
        let name = ObjectName::new(scene.namespace.as_str(), name);
        Self { runtime, source, owner: RouteOwner { kind, name } }
    }

    /// Waits for the next change of the route, and gives the weights of its first rule.
    fn next(&mut self) -> Vec<(String, u32)> {
        let Self { runtime, source, owner } = self;
        let change = async {
            loop {
                let update = source.next().await;
                let own = update.changes.into_iter().find_map(|change| match change {
                    Change::SetRoutes(of, routes) if of == *owner => Some(routes),
                    _ => None,
                });
                if let Some(routes) = own {
                    return routes;
                }
            }
        };
        let patience = Duration::from_secs(60);
        let routes = runtime.block_on(async { tokio::time::timeout(patience, change).await });
        weights(&routes.expect("a change"))
    }
}

fn weights(routes: &[Route]) -> Vec<(String, u32)> {
    let Some(Action::Forward(to)) = routes.first().map(|route| &route.rules[0].action) else {
        return Vec::new();
    };
    let named = to.iter().map(|destination| match &destination.to {
        etm_model::DestinationRef::Service { name, .. } => {
            (name.name.to_string(), destination.weight)
        }
        other => panic!("{other:?}"),
    });
    named.collect()
}

fn pair(stable: &str, weight: u32, canary: &str, other: u32) -> Vec<(String, u32)> {
    vec![(stable.to_owned(), weight), (canary.to_owned(), other)]
}

/// Replaces an object as client-go's `Update` does: all of it, with the version that was read.
fn update(scene: &Scene, object: &Value) {
    scene.cluster.kubectl_with(&["replace", "-f", "-"], &object.to_string()).expect("an update");
}

/// Argo Rollouts' Gateway API plugin: `setTCPRouteWeight` in pkg/plugin/tcproute.go and
/// `ensureInProgressLabel` in pkg/plugin/labels.go of
/// argoproj-labs/rollouts-plugin-trafficrouter-gatewayapi. It reads the route by v1alpha2, sets the
/// weights of the backends that are the canary's and the stable Service to N and 100 - N, labels the
/// route while a rollout is under way, and updates it.
fn argo_sets_weight(scene: &Scene, name: &str, weight: u32) {
    let path = format!("/apis/{GROUP}/v1alpha2/namespaces/{}/tcproutes/{name}", scene.namespace);
    let mut route = scene.cluster.api().get(&path).expect("an answer").expect("a route");
    for rule in route["spec"]["rules"].as_array_mut().expect("rules") {
        for backend in rule["backendRefs"].as_array_mut().expect("backends") {
            match backend["name"].as_str() {
                Some("web-canary") => backend["weight"] = json!(weight),
                Some("web-stable") => backend["weight"] = json!(100 - weight),
                _ => {}
            }
        }
    }
    let in_progress = if weight == 0 { Value::Null } else { json!("in-progress") };
    route["metadata"]["labels"] = json!({"rollouts.argoproj.io/gatewayapi-canary": in_progress});
    if weight == 0 {
        route["metadata"]["labels"] = json!({});
    }
    update(scene, &route);
}

#[test]
fn argo_rollouts_sets_weights() {
    let scene = Scene::controlled();
    for name in ["web", "web-stable", "web-canary"] {
        scene.service(name);
    }
    let path = scene.path("tcproutes", "web");
    // The guide's route: without weights, which the plugin sets.
    scene.create(
        "tcproutes",
        json!({
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "TCPRoute",
            "metadata": {"name": "web"},
            "spec": {
                "parentRefs": [service("web")],
                "rules": [{"backendRefs": [
                    {"name": "web-stable", "port": 80}, {"name": "web-canary", "port": 80},
                ]}],
            },
        }),
    );
    let _controller = scene.controller(scene.admin).start().expect("a controller");
    until_condition(&scene, &path, "Accepted", "Accepted");
    let mut follower = Follower::new(&scene, RouteKind::TcpRoute, "web");
    let pair = |stable, canary| pair("web-stable", stable, "web-canary", canary);
    assert_eq!(follower.next(), pair(1, 1));
    // The steps of the plugin's own example, 30 and 60 percent, then promotion: the canary is the
    // stable one by now, and its weight is 0 again.
    for weight in [0, 30, 60, 100, 0] {
        argo_sets_weight(&scene, "web", weight);
        assert_eq!(follower.next(), pair(100 - weight, weight));
    }
    // Rolled back half-way.
    for weight in [30, 0] {
        argo_sets_weight(&scene, "web", weight);
        assert_eq!(follower.next(), pair(100 - weight, weight));
    }
    let accepted = until_condition(&scene, &path, "Accepted", "Accepted");
    assert_eq!(accepted["status"], "True");
}

/// Flagger with provider `gatewayapi:v1`: `SetRoutes` in pkg/router/gateway_api.go of
/// fluxcd/flagger. It writes all of the spec anew: hosts, one match of every path, and the two
/// backends, named after the Service.
fn flagger_spec(primary: u32, canary: u32) -> Value {
    let backend = |name: &str, weight: u32| json!({"group": "", "kind": "Service", "name": name, "port": 80, "weight": weight});
    json!({
        "parentRefs": [{"group": "core", "kind": "Service", "name": "web", "port": 80}],
        "hostnames": ["web.example"],
        "rules": [{
            "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
            "backendRefs": [backend("web-primary", primary), backend("web-canary", canary)],
        }],
    })
}

#[test]
fn flagger_sets_weights() {
    let scene = Scene::controlled();
    for name in ["web", "web-primary", "web-canary"] {
        scene.service(name);
    }
    let path = scene.path("httproutes", "web");
    scene.create(
        "httproutes",
        json!({
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": {"name": "web"},
            "spec": flagger_spec(100, 0),
        }),
    );
    let _controller = scene.controller(scene.admin).start().expect("a controller");
    until_condition(&scene, &path, "Accepted", "Accepted");
    let mut follower = Follower::new(&scene, RouteKind::HttpRoute, "web");
    let pair = |primary, canary| pair("web-primary", primary, "web-canary", canary);
    assert_eq!(follower.next(), pair(100, 0));
    // Its tutorial's `stepWeight: 10`, `maxWeight: 50`, then all to the canary while the primary is
    // renewed, then back.
    for canary in [10, 20, 30, 40, 50, 100, 0] {
        let mut route = scene.cluster.api().get(&path).expect("an answer").expect("a route");
        route["spec"] = flagger_spec(100 - canary, canary);
        update(&scene, &route);
        assert_eq!(follower.next(), pair(100 - canary, canary));
    }

    // An A/B test asks for a header, which takes layer 7: that is said, and callers go as if there were
    // no route.
    let mut route = scene.cluster.api().get(&path).expect("an answer").expect("a route");
    let mut spec = flagger_spec(0, 100);
    let insider = json!([{"type": "Exact", "name": "x-canary", "value": "insider"}]);
    spec["rules"][0]["matches"][0]["headers"] = insider;
    route["spec"] = spec;
    update(&scene, &route);
    let refused = until_condition(&scene, &path, "Accepted", "UnsupportedValue");
    assert!(refused["message"].as_str().expect("a message").contains("layer 7"), "{refused}");
    assert_eq!(follower.next(), []);
}
