//! The Pods of this node, as the source gives them.

use std::time::Duration;

use etm_model::PodChange;
use etm_source::kubernetes::{Kubernetes, Options};
use serde_json::json;
use tokio::runtime::Builder;
use tokio::time::timeout;

use crate::scene::Scene;

const PATIENCE: Duration = Duration::from_secs(60);

fn pod(scene: &Scene, name: &str, node: &str) {
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"nodeName": node, "containers": [{"name": "a", "image": "a"}]},
    });
    scene.create("pods", pod);
}

#[test]
fn pods_of_this_node_and_no_others() {
    let scene = Scene::new();
    pod(&scene, "here", &scene.namespace);
    pod(&scene, "elsewhere", "elsewhere");
    let options = Options {
        source: etm_source::Options { node: scene.namespace.clone(), ..Default::default() },
        kubeconfig: Some(scene.cluster.kubeconfig().to_owned()),
        state: Some(scene.state.path().to_owned()),
        user_agent: "etm-test".into(),
        ..Options::default()
    };
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut cluster = runtime.block_on(Kubernetes::open(options)).expect("a source");
    let mut told = Vec::new();
    let mut until_told = |count: usize| {
        while told.len() < count {
            let update = async { timeout(PATIENCE, cluster.next()).await };
            told.extend(runtime.block_on(update).expect("an update").pods);
        }
    };
    until_told(1);
    scene.delete("pods", "here?gracePeriodSeconds=0");
    until_told(2);
    pod(&scene, "here", &scene.namespace);
    until_told(3);
    let [PodChange::Set(one), PodChange::Remove(name, uid), PodChange::Set(two)] = &told[..] else {
        panic!("{told:?}");
    };
    assert_eq!(one.labels, [("app".into(), "here".into())]);
    assert_eq!((&one.name, &one.uid), (name, uid));
    assert_eq!(one.name, two.name);
    assert_ne!(one.uid, two.uid);
}
