//! Nodes that do not work: `NodeHealth`, as `etm controller` writes it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{sleep, spawn};
use std::time::{Duration, SystemTime};

use etm_testkit::{Agent, Api, Exporter, Prometheus};
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use crate::conditions::writes;
use crate::metrics;
use crate::scene::Scene;
use etm_testkit::wait::{until, until_some};

const HEALTH: &str = "/apis/etm.dev/v1alpha1/nodehealths/cluster";
const MONITORS: &str = "/apis/etm.dev/v1alpha1/nodemonitors";

/// A `NodeMonitor` that is deleted also where its test fails: it is of no namespace, so every other
/// test has it.
pub(crate) struct Monitor<'a> {
    api: &'a Api,
    path: String,
}

impl<'a> Monitor<'a> {
    pub(crate) fn create(api: &'a Api, monitor: &Value) -> Self {
        api.create(MONITORS, monitor).expect("a monitor");
        let name = monitor["metadata"]["name"].as_str().expect("a name");
        Self { api, path: format!("{MONITORS}/{name}") }
    }
}

impl Drop for Monitor<'_> {
    fn drop(&mut self) {
        let _ = self.api.delete(&self.path);
    }
}
const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";

/// Four nodes of a cluster that has no others; deleted on drop.
struct Nodes<'a> {
    scene: &'a Scene,
    names: [String; 4],
    /// Those whose kubelet lives.
    alive: Arc<Mutex<BTreeSet<String>>>,
}

impl<'a> Nodes<'a> {
    fn new(scene: &'a Scene) -> Self {
        let api = scene.cluster.api();
        let names = ["a", "b", "c", "d"].map(|name| format!("{}-{name}", scene.namespace));
        for name in &names {
            let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}});
            api.create("/api/v1/nodes", &node).expect("a node");
        }
        let nodes = Self { scene, names, alive: Arc::default() };
        for i in 0..4 {
            nodes.ready(i, "True");
        }
        // As long as the others are deleted with their test.
        let _ = api.delete(HEALTH);
        nodes
    }

    fn ready(&self, node: usize, status: &str) {
        let condition = json!({
            "type": "Ready", "status": status, "reason": "Test", "message": "",
            "lastHeartbeatTime": null, "lastTransitionTime": null,
        });
        let path = format!("/api/v1/nodes/{}/status", self.names[node]);
        let status = json!({"status": {"conditions": [condition]}});
        self.scene.cluster.api().merge(&path, &status).expect("a status");
    }

    /// Renews their Leases as kubelets do, ten times as often, until this process ends or they die.
    fn live(&self) {
        *self.alive() = self.names.iter().cloned().collect();
        let (alive, api) = (Arc::clone(&self.alive), self.scene.cluster.kubeconfig().to_owned());
        let names = self.names.clone();
        spawn(move || {
            let api = Api::new(&api).expect("a client");
            loop {
                let living = alive.lock().unwrap_or_else(PoisonError::into_inner).clone();
                for name in names.iter().filter(|name| living.contains(*name)) {
                    let time = Timestamp::try_from(SystemTime::now()).expect("a time");
                    let lease = json!({
                        "apiVersion": "coordination.k8s.io/v1",
                        "kind": "Lease",
                        "metadata": {"name": name, "namespace": "kube-node-lease"},
                        "spec": {
                            "holderIdentity": name,
                            "leaseDurationSeconds": 4,
                            "renewTime": format!("{time:.6}"),
                        },
                    });
                    // The API server may be gone with its test.
                    if api.apply("kube-node-lease", &[lease]).is_err() {
                        return;
                    }
                }
                sleep(Duration::from_secs(1));
            }
        });
    }

    fn alive(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.alive.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Nodes<'_> {
    fn drop(&mut self) {
        self.alive().clear();
        let api = self.scene.cluster.api();
        for name in &self.names {
            let _ = api.delete(&format!("/api/v1/nodes/{name}"));
            let _ = api.delete(&format!("{LEASES}/{name}"));
        }
    }
}

fn controller(scene: &Scene) -> Agent {
    scene.controller(scene.admin).start().expect("a controller")
}

fn health(scene: &Scene) -> Option<Value> {
    scene.cluster.api().get(HEALTH).expect("an answer")
}

fn ejected(scene: &Scene) -> Vec<(String, String)> {
    let health = health(scene).unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let ejected = health["status"]["ejected"].as_array().cloned().unwrap_or_default();
    ejected.iter().map(|node| (text(&node["node"]), text(&node["reason"]))).collect()
}

#[track_caller]
fn until_ejected(scene: &Scene, nodes: &[(&String, &str)]) {
    let nodes: Vec<_> = nodes.iter().map(|(node, why)| ((*node).clone(), (*why).into())).collect();
    until(&format!("{nodes:?} are out"), || ejected(scene) == nodes);
}

#[track_caller]
fn until_limit(scene: &Scene, reason: &str) {
    until_some(&format!("the limit is {reason}"), || {
        let health = health(scene)?;
        (health["status"]["conditions"][0]["reason"] == reason).then_some(())
    });
}

#[test]
fn nodes_are_out_by_their_conditions_and_taints_and_return() {
    let scene = Scene::controlled();
    let nodes = Nodes::new(&scene);
    let _controller = controller(&scene);
    until_limit(&scene, "AllWell");
    nodes.ready(0, "Unknown");
    until_ejected(&scene, &[(&nodes.names[0], "NotReady")]);
    let first = health(&scene).expect("an object")["status"]["ejected"][0].clone();
    let taint = |taints: &Value| {
        let path = format!("/api/v1/nodes/{}", nodes.names[1]);
        scene.cluster.api().merge(&path, &json!({"spec": {"taints": taints}})).expect("taints");
    };
    taint(&json!([{"key": "node.kubernetes.io/out-of-service", "effect": "NoExecute"}]));
    until_ejected(&scene, &[(&nodes.names[0], "NotReady"), (&nodes.names[1], "Tainted")]);
    let health_now = health(&scene).expect("an object");
    assert_eq!(health_now["status"]["ejected"][0], first, "its time stays");
    assert_eq!(metrics::value(&scene, r#"etm_ejected{kind="nodes"}"#), Some(2.0));

    // Heartbeats and other conditions are not written of.
    let written = (writes(scene.admin), health_now["metadata"]["resourceVersion"].clone());
    nodes.ready(2, "True");
    sleep(Duration::from_secs(2));
    let now = health(&scene).expect("an object")["metadata"]["resourceVersion"].clone();
    assert_eq!((writes(scene.admin), now), written);

    // A third one of four is more than may be.
    nodes.ready(2, "False");
    until_ejected(&scene, &[]);
    until_limit(&scene, "TooManyBad");
    until("it is told", || metrics::page(&scene, "/problems").contains("NodeHealth cluster"));
    nodes.ready(0, "True");
    until_ejected(&scene, &[(&nodes.names[1], "Tainted"), (&nodes.names[2], "NotReady")]);
    taint(&json!([]));
    nodes.ready(2, "True");
    until_ejected(&scene, &[]);
    until_limit(&scene, "AllWell");
    until("it is mended", || metrics::own_problems(&scene).is_empty());
}

#[test]
fn a_node_whose_lease_is_not_renewed_is_out() {
    let scene = Scene::controlled();
    let nodes = Nodes::new(&scene);
    nodes.live();
    let first = controller(&scene);
    until_limit(&scene, "AllWell");
    sleep(Duration::from_secs(5));
    assert_eq!(ejected(&scene), []);
    nodes.alive().remove(&nodes.names[3]);
    until_ejected(&scene, &[(&nodes.names[3], "LeaseExpired")]);
    let out = health(&scene).expect("an object")["status"]["ejected"].clone();
    assert_eq!(out[0]["message"], "its Lease was not renewed for 4s");

    // Another one takes over; what it has not seen for itself it takes some seconds to see.
    first.kill().expect("an end");
    let _second = controller(&scene);
    until("the second leads", || metrics::value(&scene, "etm_leader") == Some(1.0));
    until_ejected(&scene, &[(&nodes.names[3], "LeaseExpired")]);
    let now = nodes.names[3].clone();
    nodes.alive().insert(now);
    until_ejected(&scene, &[]);
}

#[test]
fn a_monitor_of_nodes() {
    let scene = Scene::controlled();
    let nodes = Nodes::new(&scene);
    let exporter = Exporter::start("disk_errors", "node", r#"job="disk""#).expect("an exporter");
    for name in &nodes.names {
        exporter.set(name, 0.0);
    }
    let prometheus = Prometheus::start(&[&exporter], None, &[]).expect("Prometheus");
    let monitor = json!({
        "apiVersion": "etm.dev/v1alpha1",
        "kind": "NodeMonitor",
        "metadata": {"name": "disk"},
        "spec": {"prometheus": {
            "query": "disk_errors", "operator": "GreaterThan", "threshold": "0",
            "interval": "1s", "recovery": 2,
        }},
    });
    let api = scene.cluster.api();
    let _monitor = Monitor::create(api, &monitor);
    let controller = || {
        let controller = scene.controller(scene.admin).arg("--prometheus").arg(prometheus.url());
        controller.start().expect("a controller")
    };
    let first = controller();
    let reachable = || {
        let monitor = api.get(&format!("{MONITORS}/disk")).expect("an answer");
        monitor.expect("a monitor")["status"]["conditions"][0]["reason"] == "Answering"
    };
    until("it answers", reachable);
    exporter.set(&nodes.names[1], 3.0);
    until_ejected(&scene, &[(&nodes.names[1], "Monitor")]);
    let out = health(&scene).expect("an object")["status"]["ejected"].clone();
    assert_eq!(out[0]["monitor"], "disk");
    first.kill().expect("an end");
    let _second = controller();
    until("the second leads", || metrics::value(&scene, "etm_leader") == Some(1.0));
    sleep(Duration::from_secs(3));
    assert_eq!(health(&scene).expect("an object")["status"]["ejected"], out);
    exporter.set(&nodes.names[1], 0.0);
    until_ejected(&scene, &[]);
}
