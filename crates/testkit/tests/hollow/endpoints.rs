//! From a Deployment and a Service to endpoints that answer.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use etm_testkit::{Caller, CgroupDriver, Protocol};
use serde_json::{Value, json};

use crate::scene::{Scene, container, items, service, shared};

#[test]
fn a_deployment_becomes_ready_endpoints_and_ends_gracefully() {
    let scene = Scene::new(&[CgroupDriver::Systemd, CgroupDriver::Cgroupfs]);
    let mut web = container("web", 8080);
    web["lifecycle"] = json!({"preStop": {"sleep": {"seconds": 2}}});
    let spread = json!([{
        "maxSkew": 1,
        "topologyKey": "topology.kubernetes.io/zone",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}},
    }]);
    let spec = json!({"containers": [web], "topologySpreadConstraints": spread});
    scene.apply(&[service("web"), scene.deployment("web", 3, &spec)]);

    let ready = |endpoint: &Value| endpoint["conditions"]["ready"] == true;
    scene.endpoints(|all| all.len() == 6 && all.iter().all(ready));
    scene.endpoints(|all| {
        let zones = all.iter().filter_map(|endpoint| endpoint["zone"].as_str());
        zones.collect::<BTreeSet<_>>().len() == 2
    });
    let pods = scene.running();
    assert_eq!(pods.len(), 3);
    // Every Pod answers every Pod, over both families, also from node to node.
    for (from, to) in pods.iter().flat_map(|from| pods.iter().map(move |to| (from, to))) {
        let caller = Caller::new(&from.containers[0].place, Protocol::Tcp);
        for address in &to.addresses {
            let call = caller.call(SocketAddr::new(*address, 8080)).expect("a call");
            assert_eq!(call.pod(), Some(to.name.as_str()), "{call:?}");
        }
    }

    let scale = format!("/apis/apps/v1/namespaces/{}/deployments/web/scale", scene.namespace);
    shared().api().merge(&scale, &json!({"spec": {"replicas": 1}})).expect("a patch");
    // For two seconds the two that go still serve.
    let going = |endpoint: &Value| {
        let conditions = &endpoint["conditions"];
        conditions["terminating"] == true && conditions["serving"] == true && !ready(endpoint)
    };
    scene.endpoints(|all| all.iter().filter(|endpoint| going(endpoint)).count() == 4);
    scene.endpoints(|all| all.len() == 2 && all.iter().all(ready));
    let left = |list: &Value| items(list).len() == 1;
    shared().api().wait(&scene.path("pods"), left).expect("one Pod");
    assert_eq!(scene.running().len(), 1);
    let gone = pods.iter().filter(|pod| !pod.cgroup.exists()).count();
    assert_eq!(gone, 2, "the cgroups of those that ended");
}

#[test]
fn a_pod_in_the_nodes_network_has_its_addresses_and_reaches_the_api_server() {
    let scene = Scene::new(&[CgroupDriver::Cgroupfs]);
    let node = &scene.nodes[0];
    let mut agent = container("agent", 9000);
    agent["ports"][0]["hostPort"] = json!(9000);
    scene.apply(&[scene.pod("agent", &json!({"hostNetwork": true, "containers": [agent]}))]);
    let pod = node.pod(&scene.namespace, "agent").expect("a Pod");
    assert_eq!(pod.addresses[0], node.node().ipv4());
    // The node's network has a loopback of its own; the address leads to the API server anyway.
    let address = shared().address();
    let caller = Caller::new(&pod.containers[0].place, Protocol::Tcp);
    let call = caller.call(address).expect("a call");
    assert_eq!(call.peer, Some(address), "{call:?}");
}
