//! Objects as users change them.

use std::net::SocketAddr;
use std::thread;

use etm_testkit::{Agent, Api};
use serde_json::{Value, json};

use crate::metrics;
use crate::scene::{POD_PORT, PORT, Scene, address_of, addresses, service, slice};
use etm_testkit::wait::{until, until_logged};

fn replace(scene: &Scene, name: &str, spec: &Value) -> Value {
    let path = scene.path("services", name);
    scene.apply(json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec,
    }));
    scene.cluster.api().get(&path).expect("an answer").expect("a Service")
}

#[test]
fn a_service_changes_its_type_four_ways() {
    let scene = Scene::new();
    let ports = json!([{"name": "http", "port": PORT, "targetPort": POD_PORT}]);
    let of_type = |kind: &str| replace(&scene, "web", &json!({"type": kind, "ports": ports}));
    let cluster = address_of(&of_type("ClusterIP"));
    scene.slice("web-1", "web", &addresses(2));
    let _agent = scene.agent().start().expect("an agent");
    scene.until_members(cluster, Some(2));

    let made = of_type("NodePort");
    let node_port = made["spec"]["ports"][0]["nodePort"].as_u64().expect("a node port") as u16;
    let on_node = SocketAddr::from(([127, 0, 0, 1], node_port));
    scene.until_members(on_node, Some(2));
    scene.until_members(cluster, Some(2));

    of_type("LoadBalancer");
    let status = json!({"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}}});
    let patch = ["-n", &scene.namespace, "patch", "service", "web", "--subresource", "status"];
    let status = status.to_string();
    let words: Vec<&str> = patch.into_iter().chain(["--type", "merge", "-p", &status]).collect();
    scene.cluster.kubectl(&words).expect("a status");
    let balanced = SocketAddr::from(([192, 0, 2, 7], PORT));
    scene.until_members(balanced, Some(2));

    let external = json!({"type": "ExternalName", "externalName": "web.example"});
    let external = json!({"spec": external.as_object().map(|spec| {
        let mut spec = spec.clone();
        for key in ["clusterIP", "clusterIPs", "ports"] {
            spec.insert(key.into(), Value::Null);
        }
        spec
    })});
    let external = external.to_string();
    let patch = ["-n", &scene.namespace, "patch", "service", "web", "--type", "merge", "-p"];
    let words: Vec<&str> = patch.into_iter().chain([external.as_str()]).collect();
    scene.cluster.kubectl(&words).expect("another type");
    for gone in [cluster, on_node, balanced] {
        scene.until_members(gone, None);
    }

    let back = address_of(&of_type("ClusterIP"));
    scene.until_members(back, Some(2));
    assert_eq!(scene.members(on_node), None);
}

#[test]
fn deleted_and_made_again_under_the_same_name() {
    let scene = Scene::new();
    let mut before = scene.service("web");
    scene.slice("web-1", "web", &addresses(1));
    let _agent = scene.agent().start().expect("an agent");
    scene.until_members(before, Some(1));
    for round in 2..6 {
        scene.delete("endpointslices", "web-1");
        scene.delete("services", "web");
        // That the address is another one shows that nothing of the old Service stays.
        let _taken = scene.service(&format!("other-{round}"));
        let after = scene.service("web");
        scene.slice("web-1", "web", &addresses(round));
        scene.until_members(after, Some(round.into()));
        if after != before {
            scene.until_members(before, None);
        }
        before = after;
    }
}

/// Ten Services with a slice each, and an agent that has them.
fn ten_services(scene: &Scene) -> (Vec<SocketAddr>, Agent) {
    let services: Vec<_> = (0..10).map(|i| scene.service(&format!("web-{i}"))).collect();
    for i in 0..10 {
        scene.slice(&format!("slice-{i}"), &format!("web-{i}"), &addresses(1));
    }
    let agent = scene.agent().start().expect("an agent");
    for service in &services {
        scene.until_members(*service, Some(1));
    }
    (services, agent)
}

/// Changes each slice a hundred times, as fast as the API server takes it.
fn thousand_changes(scene: &Scene) {
    thread::scope(|scope| {
        for part in 0..5 {
            scope.spawn(move || {
                let api = Api::new(scene.cluster.kubeconfig()).expect("a client");
                for change in 0..100_u8 {
                    for i in [2 * part, 2 * part + 1] {
                        let endpoints = addresses(1 + change % 50);
                        let object = slice(&format!("slice-{i}"), &format!("web-{i}"), &endpoints);
                        let mut object: Value = object.into();
                        object["metadata"]["namespace"] = json!(scene.namespace);
                        api.apply(&scene.namespace, &[object]).expect("a change");
                    }
                }
            });
        }
    });
}

#[test]
fn a_thousand_changes_one_after_the_other() {
    let scene = Scene::new();
    let (services, agent) = ten_services(&scene);
    thousand_changes(&scene);
    for service in &services {
        scene.until_members(*service, Some(50));
    }
    until("every change was counted", || {
        metrics::value(&scene, "etm_change_duration_seconds_count") >= Some(1000.0)
    });
    assert!(!agent.stderr().contains("ERROR"), "{}", agent.stderr());
}

#[test]
fn a_thousand_changes_at_once() {
    let scene = Scene::new();
    let (services, agent) = ten_services(&scene);
    agent.pause().expect("a stop");
    thousand_changes(&scene);
    assert_eq!(scene.members(services[0]), Some(1));
    agent.resume().expect("a continuation");
    for service in &services {
        scene.until_members(*service, Some(50));
    }
    assert!(!agent.stderr().contains("ERROR"), "{}", agent.stderr());
}

#[test]
fn what_cannot_be_programmed_is_told_until_it_is_mended() {
    let scene = Scene::new();
    let ports = json!([{"name": "a", "port": 7, "protocol": "SCTP"}]);
    let mut object: Value = service("bad").into();
    object["spec"]["ports"] = ports;
    scene.create("services", object);
    let agent = scene.agent().start().expect("an agent");
    let named = format!("Service {}/bad", scene.namespace);
    until_logged(&agent, &["WARN", &named, "SCTP"]);
    let told = |scene: &Scene| metrics::page(scene, "/problems").contains(&named);
    assert!(told(&scene));
    scene.delete("services", "bad");
    until_logged(&agent, &["mended", &named]);
    assert!(!told(&scene));
}
