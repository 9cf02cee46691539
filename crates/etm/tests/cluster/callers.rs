//! Each Pod of the node is known by its cgroup before its first connect.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU8, Ordering};

use etm_testkit::{Caller, CgroupDriver, HollowPod, Protocol};
use serde_json::{Value, json};

use crate::scene::{Covered, PORT, Scene, caller, container, service};
use etm_testkit::wait::until;

/// `ECONNREFUSED`: what a refused caller sees.
const REFUSED: Option<i32> = Some(111);

/// An address of a load balancer that no other test has.
fn balanced() -> IpAddr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    Ipv4Addr::new(203, 0, 113, NEXT.fetch_add(1, Ordering::Relaxed)).into()
}

/// The Service `web` at the address of a load balancer, for these ranges.
fn balance(scene: &Scene, covered: &Covered, address: IpAddr, ranges: &[IpAddr]) {
    let mut ranges: Vec<String> = ranges.iter().map(|ip| format!("{ip}/32")).collect();
    ranges.sort();
    let mut object = service("web");
    object["spec"]["type"] = json!("LoadBalancer");
    object["spec"]["loadBalancerSourceRanges"] = json!(ranges);
    scene.apply(&[object]);
    let status = json!({"status": {"loadBalancer": {"ingress": [{"ip": address}]}}}).to_string();
    let patch = ["patch", "service", "web", "--subresource", "status", "--type", "merge", "-p"];
    let words = ["-n", &scene.namespace].into_iter().chain(patch).chain([status.as_str()]);
    scene.cluster.kubectl(&words.collect::<Vec<_>>()).expect("a status");
    let (shown, callers) = (format!("{address}:{PORT}"), ranges.join(", "));
    until(&format!("{shown} is for {callers}"), || {
        covered.get("services").iter().any(|row| {
            row["address"] == shown.as_str()
                && row["callers"] == callers.as_str()
                && row["backends"] == 1
        })
    });
}

fn row(covered: &Covered, uid: &str) -> Value {
    let rows = covered.get("callers");
    rows.into_iter().find(|row| row["uid"] == uid).unwrap_or_default()
}

/// Waits until a Pod is known as it is.
fn until_known(covered: &Covered, pod: &HollowPod) {
    let name = format!("{}/{}", pod.namespace, pod.name);
    until(&format!("{name} is known"), || {
        let row = row(covered, &pod.uid);
        row["pod"] == name.as_str() && row["addresses"] == json!(pod.addresses)
    });
    let path = row(covered, &pod.uid)["cgroup"].as_str().unwrap_or_default().to_owned();
    assert!(pod.cgroup.to_string_lossy().ends_with(&path) && !path.is_empty(), "{path}");
}

fn is_served(caller: &Caller, address: IpAddr) -> bool {
    let call = caller.call(SocketAddr::new(address, PORT)).expect("a call");
    assert!(call.pod() == Some("web") || call.errno == REFUSED, "{call:?}");
    call.pod().is_some()
}

#[test]
fn in_every_class_with_either_driver() {
    for driver in [CgroupDriver::Systemd, CgroupDriver::Cgroupfs] {
        let scene = Scene::new(&[driver]);
        let covered = &scene.nodes[0];
        let with = |resources: Value, host: bool, port: u16| {
            let mut main = container("main", port);
            main["resources"] = resources;
            json!({"containers": [main], "hostNetwork": host})
        };
        let room = json!({"cpu": "10m", "memory": "16Mi"});
        scene.apply(&[
            scene.pod("web", &with(json!({}), false, 8080)),
            scene.pod("guaranteed", &with(json!({"requests": room, "limits": room}), false, 9000)),
            scene.pod("burstable", &with(json!({"requests": room}), false, 9000)),
            scene.pod("besteffort", &with(json!({}), false, 9000)),
            scene.pod("host", &with(json!({}), true, 9001)),
        ]);
        let pods = ["guaranteed", "burstable", "besteffort", "host"].map(|name| {
            let pod = covered.node.pod(&scene.namespace, name).expect("a Pod");
            until_known(covered, &pod);
            pod
        });
        let node = Caller::new(&covered.own(), Protocol::Tcp);
        let callers: Vec<_> = pods.iter().map(|pod| caller(pod, "main")).collect();
        let address = balanced();
        for (allowed, pod) in pods.iter().enumerate().take(3) {
            balance(&scene, covered, address, &pod.addresses[..1]);
            let served: Vec<_> = callers.iter().map(|caller| is_served(caller, address)).collect();
            let expected: Vec<_> = (0..4).map(|at| at == allowed).collect();
            assert_eq!(served, expected, "{driver:?}");
            assert!(!is_served(&node, address));
        }
        // A Pod on the node's network has the node's address, as the node's own processes have.
        balance(&scene, covered, address, &pods[3].addresses[..1]);
        let served: Vec<_> = callers.iter().map(|caller| is_served(caller, address)).collect();
        assert_eq!(served, [false, false, false, true], "{driver:?}");
        assert!(is_served(&node, address));
    }
}

#[test]
fn containers_that_start_later() {
    let scene = Scene::new(&[CgroupDriver::Systemd]);
    let covered = &scene.nodes[0];
    covered.node.hold("late").expect("an order");
    let late = json!({"name": "late", "image": "example.org/late"});
    scene.apply(&[
        scene.pod("web", &json!({"containers": [container("main", 8080)]})),
        scene.pod("client", &json!({"containers": [container("main", 9000), late]})),
    ]);
    let client = covered.node.pod(&scene.namespace, "client").expect("a Pod");
    until_known(covered, &client);
    let address = balanced();
    balance(&scene, covered, address, &client.addresses[..1]);
    covered.node.release("late").expect("an order");
    let started = || {
        let pod = covered.node.pod(&scene.namespace, "client").expect("a Pod");
        pod.container("late").is_some().then_some(pod)
    };
    until("it has started", || started().is_some());
    let client = started().expect("a Pod");
    assert!(is_served(&caller(&client, "late"), address));
    // A container in the place of one that ended has another cgroup, below the same Pod's.
    covered.node.restart(&scene.namespace, "client", "late").expect("an order");
    let again = started().expect("a Pod");
    assert_ne!(again.container("late").map(|c| &c.id), client.container("late").map(|c| &c.id));
    assert!(is_served(&caller(&again, "late"), address));
}

#[test]
fn a_pod_that_is_gone_is_no_caller() {
    let scene = Scene::new(&[CgroupDriver::Cgroupfs]);
    let covered = &scene.nodes[0];
    scene.apply(&[scene.pod("client", &json!({"containers": [container("main", 9000)]}))]);
    let client = covered.node.pod(&scene.namespace, "client").expect("a Pod");
    until_known(covered, &client);
    scene.cluster.api().delete(&scene.path("pods/client")).expect("an end");
    until("it is no caller", || row(covered, &client.uid) == Value::Null);
}
