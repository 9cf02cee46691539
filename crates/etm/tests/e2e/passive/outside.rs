//! What the controller says of endpoints and nodes, here as a directory of manifests has it.

use etm_abi::{BACKEND_AVAILABLE, BACKEND_OUT};
use etm_testkit::wait::until;
use serde_json::{Value, json};

use super::{callers, calls, record};
use crate::scene::{PORT, Scene, VIP4, web_pod};

#[test]
fn a_pod_that_a_monitor_has_taken_out_gets_no_connections() {
    let scene = Scene::new();
    let backends = scene.web(&["a", "b"]);
    let policy = |ejected: Value| {
        json!({
            "apiVersion": "etm.dev/v1alpha1",
            "kind": "TrafficPolicy",
            "metadata": {"name": "web", "namespace": "default"},
            "spec": {
                "targetRef": {"name": "web"},
                "monitors": [{"name": "errors", "prometheus": {
                    "query": "errors", "operator": "GreaterThan", "threshold": "0",
                }}],
            },
            "status": {"ejected": ejected},
        })
    };
    let out = json!([{"pod": "b", "monitor": "errors", "message": "3 > 0",
                      "since": "2026-01-01T00:00:00Z"}]);
    scene.manifests.apply("policy.yaml", &[policy(out)]).expect("a manifest");
    let _agent = scene.start();
    let pod = &backends[1].pod;
    until("it is out", || record(&scene, pod).state == BACKEND_OUT);
    let served = calls(&scene, &callers(&scene), (VIP4, PORT).into(), 30);
    assert!(served.iter().all(|call| call.answer.as_ref().is_some_and(|from| from.pod == "a")));

    scene.manifests.apply("policy.yaml", &[policy(json!([]))]).expect("a manifest");
    until("it is back", || record(&scene, pod).state == BACKEND_AVAILABLE);
}

#[test]
fn pods_of_a_node_that_does_not_work_get_no_connections() {
    let scene = Scene::new();
    let backends = scene.web(&["a", "b"]);
    for (backend, node) in backends.iter().zip(["node-a", "node-b"]) {
        let mut object: Value = web_pod(&backend.pod).into();
        object["spec"]["nodeName"] = node.into();
        let file = format!("pod-{}.yaml", backend.pod.name());
        scene.withdraw(backend.pod.name());
        scene.manifests.apply(&file, &[object]).expect("a manifest");
    }
    let health = |ejected: Value| {
        json!({
            "apiVersion": "etm.dev/v1alpha1",
            "kind": "NodeHealth",
            "metadata": {"name": "cluster"},
            "status": {"ejected": ejected},
        })
    };
    let _agent = scene.start();
    let pod = &backends[1].pod;
    assert_eq!(record(&scene, pod).state, BACKEND_AVAILABLE);
    let out = json!([{"node": "node-b", "reason": "NotReady", "message": "no heartbeat",
                      "since": "2026-01-01T00:00:00Z"}]);
    scene.manifests.apply("nodes.yaml", &[health(out)]).expect("a manifest");
    until("it is out", || record(&scene, pod).state == BACKEND_OUT);
    let served = calls(&scene, &callers(&scene), (VIP4, PORT).into(), 30);
    assert!(served.iter().all(|call| call.answer.as_ref().is_some_and(|from| from.pod == "a")));

    scene.manifests.apply("nodes.yaml", &[health(json!([]))]).expect("a manifest");
    until("it is back", || record(&scene, pod).state == BACKEND_AVAILABLE);
}
