//! From a Deployment and a Service to connections, on every node.

use std::collections::BTreeSet;

use etm_testkit::{CgroupDriver, HollowPod};
use serde_json::{Value, json};

use crate::scene::{Scene, caller, container, service};
use etm_testkit::wait::until;

fn pods_of(scene: &Scene, app: &str) -> Vec<HollowPod> {
    let pods = scene.nodes.iter().flat_map(|covered| covered.node.pods());
    pods.filter(|pod| pod.namespace == scene.namespace && pod.name.starts_with(app)).collect()
}

/// Which Pods answer calls to a Service from a Pod of each node.
fn reached(scene: &Scene, service: &str) -> Vec<BTreeSet<String>> {
    let addresses = scene.addresses_of(service);
    let clients = pods_of(scene, "client");
    assert_eq!(clients.len(), scene.nodes.len());
    let calls = clients.iter().map(|client| {
        let calls = addresses
            .iter()
            .flat_map(|address| caller(client, "main").calls(*address, 60).expect("calls"));
        let named = calls.map(|call| match call.pod() {
            Some(pod) => pod.to_owned(),
            None => panic!("{call:?}"),
        });
        named.collect()
    });
    calls.collect()
}

#[test]
fn every_node_reaches_the_pods_of_all_nodes() {
    let scene = Scene::new(&[CgroupDriver::Systemd, CgroupDriver::Cgroupfs]);
    let spread = json!([{
        "maxSkew": 1,
        "topologyKey": "topology.kubernetes.io/zone",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}},
    }]);
    let mut web = container("main", 8080);
    web["lifecycle"] = json!({"preStop": {"sleep": {"seconds": 1}}});
    let spec = json!({"containers": [web], "topologySpreadConstraints": spread});
    scene.apply(&[service("web"), scene.deployment("web", 4, &spec)]);
    for (number, covered) in scene.nodes.iter().enumerate() {
        let mut client = json!({"containers": [container("main", 9000)]});
        client["nodeName"] = json!(covered.node.name());
        scene.apply(&[scene.pod(&format!("client-{number}"), &client)]);
        covered.node.pod(&scene.namespace, &format!("client-{number}")).expect("a Pod");
    }
    let addresses = scene.addresses_of("web");
    assert_eq!(addresses.len(), 2);
    let have = |members: u64| {
        until(&format!("every node has {members} backends"), || {
            let all = scene
                .nodes
                .iter()
                .flat_map(|covered| addresses.iter().map(|address| covered.members(*address)));
            all.into_iter().all(|found| found == Some(members))
        });
    };
    have(4);
    let names = |pods: Vec<HollowPod>| -> BTreeSet<String> {
        pods.into_iter().map(|pod| pod.name).collect()
    };
    let running = names(pods_of(&scene, "web"));
    assert_eq!(running.len(), 4);
    assert_eq!(reached(&scene, "web"), vec![running.clone(); 2]);

    let scale = format!("/apis/apps/v1/namespaces/{}/deployments/web/scale", scene.namespace);
    scene.cluster.api().merge(&scale, &json!({"spec": {"replicas": 2}})).expect("a patch");
    have(2);
    let left = reached(&scene, "web");
    assert_eq!(left[0].len(), 2);
    assert_eq!(left[0], left[1]);
    assert!(left[0].is_subset(&running));

    // A rolling update: other Pods, and no call that fails.
    let patch = json!({"spec": {"template": {"metadata": {"labels": {"version": "2"}}}}});
    let path = format!("/apis/apps/v1/namespaces/{}/deployments/web", scene.namespace);
    scene.cluster.api().merge(&path, &patch).expect("a patch");
    until("all Pods are of the new version", || {
        let served = reached(&scene, "web");
        served.iter().all(|pods| pods.len() == 2 && pods.is_disjoint(&running))
    });
    for covered in &scene.nodes {
        assert!(!covered.agent.stderr().contains("ERROR"), "{}", covered.agent.stderr());
    }
}

#[test]
fn a_local_policy_keeps_connections_on_the_node() {
    let scene = Scene::new(&[CgroupDriver::Cgroupfs, CgroupDriver::Systemd]);
    let mut local: Value = service("web");
    local["spec"]["internalTrafficPolicy"] = json!("Local");
    scene.apply(&[local]);
    for (number, covered) in scene.nodes.iter().enumerate() {
        for (app, port) in [("web", 8080), ("client", 9000)] {
            let mut spec = json!({"containers": [container("main", port)]});
            spec["nodeName"] = json!(covered.node.name());
            let mut pod = scene.pod(&format!("{app}-{number}"), &spec);
            pod["metadata"]["labels"]["app"] = json!(app);
            scene.apply(&[pod]);
            covered.node.pod(&scene.namespace, &format!("{app}-{number}")).expect("a Pod");
        }
    }
    for address in scene.addresses_of("web") {
        for covered in &scene.nodes {
            until("the node has its own backend", || covered.members(address) == Some(1));
        }
    }
    let expected = [0, 1].map(|number| BTreeSet::from([format!("web-{number}")]));
    assert_eq!(reached(&scene, "web"), expected);
}
