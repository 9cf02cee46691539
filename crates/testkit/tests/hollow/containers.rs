//! Where containers run, when they run, and whether they are ready.

use std::fs;
use std::path::Path;

use etm_testkit::{CgroupDriver, ControlPlane, Error};
use serde_json::{Value, json};

use crate::scene::{Scene, container, holds, items, shared};

fn is_in_cgroup(pid: u32, cgroup: &Path) -> bool {
    let path = cgroup.join("cgroup.procs");
    let processes = fs::read_to_string(path).unwrap_or_default();
    processes.lines().any(|line| line == pid.to_string())
}

#[test]
fn cgroups_are_laid_out_as_kubelet_does() {
    for driver in [CgroupDriver::Systemd, CgroupDriver::Cgroupfs] {
        let scene = Scene::new(&[driver]);
        let with = |resources: Value| {
            let mut container = container("main", 80);
            container["resources"] = resources;
            json!({"containers": [container]})
        };
        let room = json!({"cpu": "10m", "memory": "16Mi"});
        scene.apply(&[
            scene.pod("guaranteed", &with(json!({"requests": room, "limits": room}))),
            scene.pod("burstable", &with(json!({"requests": room}))),
            scene.pod("besteffort", &with(json!({}))),
        ]);
        let node = &scene.nodes[0];
        for class in ["guaranteed", "burstable", "besteffort"] {
            let pod = node.pod(&scene.namespace, class).expect("a Pod");
            let main = pod.container("main").expect("a container");
            let (uid, id) = (&pod.uid, &main.id);
            let expected = match driver {
                CgroupDriver::Systemd => {
                    let uid = uid.replace('-', "_");
                    let scope = format!("cri-containerd-{id}.scope");
                    match class {
                        "guaranteed" => format!("kubepods.slice/kubepods-pod{uid}.slice/{scope}"),
                        class => format!(
                            "kubepods.slice/kubepods-{class}.slice/\
                             kubepods-{class}-pod{uid}.slice/{scope}"
                        ),
                    }
                }
                CgroupDriver::Cgroupfs if class == "guaranteed" => {
                    format!("kubepods/pod{uid}/{id}")
                }
                CgroupDriver::Cgroupfs => format!("kubepods/{class}/pod{uid}/{id}"),
            };
            assert_eq!(main.cgroup, node.cgroup().path().join(expected));
            assert!(is_in_cgroup(main.process, &main.cgroup));
            let path = scene.path(&format!("pods/{class}"));
            let object = shared().api().wait(&path, holds("Ready")).expect("a ready Pod");
            let told = object["status"]["containerStatuses"][0]["containerID"].as_str();
            assert_eq!(told, Some(format!("containerd://{id}").as_str()));
        }
    }
}

#[test]
fn tests_have_a_say_in_readiness_and_in_when_containers_run() {
    let scene = Scene::new(&[CgroupDriver::Systemd]);
    let (node, namespace) = (&scene.nodes[0], &scene.namespace);
    node.hold("late").expect("an order");
    let late = json!({"name": "late", "image": "example.org/late"});
    let init = json!([{"name": "first", "image": "example.org/first"}]);
    let spec = json!({"initContainers": init, "containers": [container("web", 8080), late]});
    scene.apply(&[scene.pod("web", &spec)]);
    let path = scene.path("pods/web");
    let state = |pod: &Value, at: usize, state: &str| {
        pod["status"]["containerStatuses"][at]["state"][state].is_object()
    };
    let waits = |pod: &Value| state(pod, 0, "running") && state(pod, 1, "waiting");
    let pod = shared().api().wait(&path, waits).expect("a waiting container");
    assert!(!holds("Ready")(&pod) && pod["status"]["phase"] == "Pending", "{pod}");
    assert_eq!(pod["status"]["initContainerStatuses"][0]["state"]["terminated"]["exitCode"], 0);

    node.release("late").expect("an order");
    shared().api().wait(&path, holds("Ready")).expect("a ready Pod");
    node.set_ready(namespace, "web", false).expect("an order");
    let pod = shared().api().get(&path).expect("a call").expect("a Pod");
    assert!(!holds("Ready")(&pod) && holds("PodScheduled")(&pod), "{pod}");

    let before = node.pod(namespace, "web").expect("a Pod");
    node.restart(namespace, "web", "web").expect("an order");
    let after = node.pod(namespace, "web").expect("a Pod");
    let (before, after) = (before.container("web"), after.container("web"));
    let (before, after) = (before.expect("a container"), after.expect("a container"));
    assert!(before.id != after.id && !before.cgroup.exists() && after.cgroup.exists());
    let missing = node.restart(namespace, "web", "no-such").expect_err("no such container");
    assert!(matches!(missing, Error::NoSuchPod { .. }), "{missing}");
}

#[test]
fn a_node_makes_up_for_the_absence_of_the_api_server() {
    let cluster = ControlPlane::builder().controllers().start().expect("a control plane");
    let scene = Scene::of(&cluster, &[CgroupDriver::Systemd]);
    let (node, namespace) = (&scene.nodes[0], &scene.namespace);
    let spec = json!({"containers": [container("web", 8080)]});
    scene.apply(&[scene.pod("web", &spec), scene.pod("leaves", &spec)]);
    for name in ["web", "leaves"] {
        cluster.api().wait(&scene.path(&format!("pods/{name}")), holds("Ready")).expect("ready");
    }
    cluster.kill_api_server().expect("an end");
    node.set_ready(namespace, "web", false).expect("an order");
    cluster.start_api_server().expect("a start");
    cluster.api().wait(&scene.path("pods/web"), |pod| !holds("Ready")(pod)).expect("not ready");
    cluster.api().delete(&scene.path("pods/leaves")).expect("a deletion");
    let left = |list: &Value| items(list).len() == 1;
    cluster.api().wait(&scene.path("pods"), left).expect("one Pod");
    assert_eq!(node.pods().len(), 1);
}
