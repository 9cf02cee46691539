//! Argo Rollouts, by its Gateway API plugin.

use serde_json::json;

use super::{GROUP, Stage};
use crate::gateway::{service, until_condition};

/// `setTCPRouteWeight` in pkg/plugin/tcproute.go and `ensureInProgressLabel` in pkg/plugin/labels.go of
/// argoproj-labs/rollouts-plugin-trafficrouter-gatewayapi. It reads the route by v1alpha2, sets the
/// weights of the backends that are the canary's and the stable Service to N and 100 - N, labels the
/// route while a rollout is under way, and updates it.
fn set_weight(stage: &Stage, name: &str, weight: u32) {
    let path =
        format!("/apis/{GROUP}/v1alpha2/namespaces/{}/tcproutes/{name}", stage.scene.namespace);
    stage.update(&path, |route| {
        for rule in route["spec"]["rules"].as_array_mut().expect("rules") {
            for backend in rule["backendRefs"].as_array_mut().expect("backends") {
                match backend["name"].as_str() {
                    Some("web-canary") => backend["weight"] = json!(weight),
                    Some("web-stable") => backend["weight"] = json!(100 - weight),
                    _ => {}
                }
            }
        }
        route["metadata"]["labels"] = if weight == 0 {
            json!({})
        } else {
            json!({"rollouts.argoproj.io/gatewayapi-canary": "in-progress"})
        };
    });
}

#[test]
fn argo_rollouts_sets_weights() {
    let stage = Stage::new(["web-stable", "web-canary"], true);
    let path = stage.scene.path("tcproutes", "web");
    // The guide's route: without weights, which the plugin sets.
    stage.scene.create(
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
    until_condition(&stage.scene, &path, "Accepted", "Accepted");
    stage.until_led(Some(50));
    // The steps of the guide, 30 and 60 percent, then promotion: the canary is the stable one by now,
    // and its weight is 0 again.
    for weight in [0, 30, 60, 100, 0] {
        set_weight(&stage, "web", weight);
        stage.until_led(Some(weight));
    }
    // Aborted half-way.
    for weight in [30, 0] {
        set_weight(&stage, "web", weight);
        stage.until_led(Some(weight));
    }
    let accepted = until_condition(&stage.scene, &path, "Accepted", "Accepted");
    assert_eq!(accepted["status"], "True");
}
