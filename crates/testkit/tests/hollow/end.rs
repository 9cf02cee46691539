//! How Pods and nodes end.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use etm_testkit::{Api, CgroupDriver, HollowPod};
use serde_json::json;

use crate::scene::{Scene, container, shared};

#[test]
fn a_node_that_is_dropped_leaves_nothing_and_one_that_crashes_stays_known() {
    let mut scene = Scene::new(&[CgroupDriver::Systemd, CgroupDriver::Systemd]);
    let pods = [0, 1].map(|number| {
        let mut pod =
            scene.pod(&format!("pod-{number}"), &json!({"containers": [container("web", 80)]}));
        let name = format!("{}-{number}", scene.namespace);
        pod["spec"]["nodeSelector"] = json!({"kubernetes.io/hostname": name});
        pod
    });
    scene.apply(&pods);
    let running: Vec<HollowPod> = (0..2)
        .map(|n| scene.nodes[n].pod(&scene.namespace, &format!("pod-{n}")).expect("a Pod"))
        .collect();
    let (second, first) = (scene.nodes.pop(), scene.nodes.pop());
    let (second, first) = (second.expect("a node"), first.expect("a node"));
    let names = [&first, &second].map(|node| format!("/api/v1/nodes/{}", node.name()));
    drop(first);
    second.crash();
    for pod in &running {
        let process = pod.containers[0].process;
        assert!(!pod.cgroup.exists() && !Path::new(&format!("/proc/{process}")).exists());
    }
    let api = Api::new(shared().kubeconfig()).expect("a client");
    let known = |path: &str| api.get(path).expect("a call").is_some();
    assert_eq!([known(&names[0]), known(&names[1])], [false, true]);
    api.delete(&names[1]).expect("a deletion");
}

#[test]
fn what_is_deleted_by_force_is_gone_at_once() {
    let scene = Scene::new(&[CgroupDriver::Systemd]);
    let mut web = container("web", 8080);
    web["lifecycle"] = json!({"preStop": {"sleep": {"seconds": 25}}});
    scene.apply(&[scene.pod("web", &json!({"containers": [web]}))]);
    let pod = scene.nodes[0].pod(&scene.namespace, "web").expect("a Pod");
    let pods = scene.path("pods/web?gracePeriodSeconds=0");
    shared().api().delete(&pods).expect("a deletion");
    let deadline = Instant::now() + Duration::from_secs(15);
    while pod.cgroup.exists() {
        assert!(Instant::now() < deadline, "its cgroup is still there");
        sleep(Duration::from_millis(5));
    }
}
