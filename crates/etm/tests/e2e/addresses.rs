//! Which addresses of which Services are handled.

use std::net::{IpAddr, SocketAddr};

use etm_testkit::{Call, Pod, Protocol, objects};
use serde_json::{Value, json};

use crate::scene::{POD_PORT, PORT, Scene, UNHANDLED, VIP4, VIPS, assert_served, web};

const PROXY_NAME: &str = "service.kubernetes.io/service-proxy-name";

/// Starts from one Pod of `web` and the given objects, and calls some addresses.
fn calls(objects: &[Value], arguments: &[&str], addresses: &[&str]) -> (Scene, Pod, Vec<Call>) {
    let scene = Scene::new();
    let backend = scene.backend("web-0");
    scene.manifests.apply("objects.yaml", objects).expect("manifests");
    scene.declare(&backend.pod, true);
    let client = scene.client();
    let agent = scene.agent();
    let _agent =
        arguments.iter().fold(agent, etm_testkit::AgentBuilder::arg).start().expect("agent");
    let calls = addresses.iter().map(|address| {
        let ip: IpAddr = address.parse().expect("an address");
        let caller = scene.caller(&client, Protocol::Tcp);
        caller.call(SocketAddr::new(ip, PORT)).expect("a call")
    });
    let calls = calls.collect();
    (scene, client, calls)
}

#[test]
fn external_addresses_are_served() {
    let service = web().set("spec.externalIPs", vec!["192.0.2.7", "2001:db8::7"]);
    let all = ["10.96.0.10", "192.0.2.7", "2001:db8::7"];
    let (_scene, client, calls) = calls(&[service.into()], &[], &all);
    for call in calls {
        assert_served(&call, &client);
    }
}

#[test]
fn a_load_balancers_address_is_served_unless_it_is_a_proxys() {
    let ingress = json!([
        {"ip": "203.0.113.1"},
        {"ip": "203.0.113.2", "ipMode": "VIP"},
        {"ip": "203.0.113.3", "ipMode": "Proxy"},
        {"hostname": "lb.example"},
    ]);
    let service =
        web().set("spec.type", "LoadBalancer").set("status.loadBalancer.ingress", ingress);
    let all = ["203.0.113.1", "203.0.113.2", "203.0.113.3", "10.96.0.10"];
    let (_scene, client, calls) = calls(&[service.into()], &[], &all);
    assert_served(&calls[0], &client);
    assert_served(&calls[1], &client);
    assert_eq!(calls[2].errno, UNHANDLED, "{:?}", calls[2]);
    assert_served(&calls[3], &client);
}

#[test]
fn services_that_are_not_for_a_proxy_are_left_alone() {
    let headless = objects::Service::new("headless", &[])
        .set("spec.clusterIP", "None")
        .set("spec.clusterIPs", vec!["None"])
        .set("spec.externalIPs", vec!["192.0.2.1"])
        .port("http", "TCP", PORT, POD_PORT)
        .selector("app", "web");
    let external = objects::Service::new("external", &[])
        .set("spec.type", "ExternalName")
        .set("spec.externalName", "example.org")
        .set("spec.clusterIPs", Vec::<String>::new());
    let labelled = objects::Service::new("labelled", &["10.96.0.20".parse().expect("an address")])
        .port("http", "TCP", PORT, POD_PORT)
        .selector("app", "web")
        .label(PROXY_NAME, "other");
    let objects = [headless.into(), external.into(), labelled.into(), web().into()];
    let all = ["192.0.2.1", "10.96.0.20", "10.96.0.10"];
    let (scene, client, calls) = calls(&objects, &[], &all);
    assert_eq!(calls[0].errno, UNHANDLED, "{:?}", calls[0]);
    assert_eq!(calls[1].errno, UNHANDLED, "{:?}", calls[1]);
    assert_served(&calls[2], &client);
    let rows = scene.get("services");
    let names: Vec<_> = rows.iter().map(|row| row["service"].as_str()).collect();
    assert_eq!(rows.len(), 4, "{rows:?}");
    assert!(names.iter().all(|n| n.is_some_and(|n| n.starts_with("default/web:"))), "{names:?}");
}

#[test]
fn an_agent_with_a_proxy_name_serves_what_is_labelled_with_it_as_well() {
    let labelled = objects::Service::new("labelled", &["10.96.0.20".parse().expect("an address")])
        .port("http", "TCP", PORT, POD_PORT)
        .selector("app", "web")
        .label(PROXY_NAME, "etm");
    let others = objects::Service::new("others", &["10.96.0.21".parse().expect("an address")])
        .port("http", "TCP", PORT, POD_PORT)
        .selector("app", "web")
        .label(PROXY_NAME, "other");
    let objects = [labelled.into(), others.into(), web().into()];
    let all = ["10.96.0.20", "10.96.0.21", "10.96.0.10"];
    let (_scene, client, calls) = calls(&objects, &["--proxy-name", "etm"], &all);
    assert_served(&calls[0], &client);
    assert_eq!(calls[1].errno, UNHANDLED, "{:?}", calls[1]);
    assert_served(&calls[2], &client);
}

#[test]
fn a_service_that_moves_leaves_nothing_at_its_old_address() {
    let scene = Scene::new();
    let _pods = scene.web(&["web-0"]);
    let client = scene.client();
    let _agent = scene.start();
    let call = |ip| {
        let caller = scene.caller(&client, Protocol::Tcp);
        caller.call(SocketAddr::new(ip, PORT)).expect("a call")
    };
    assert_served(&call(VIP4), &client);
    let new: IpAddr = "10.96.0.77".parse().expect("an address");
    let moved = web().set("spec.clusterIPs", vec![new.to_string(), VIPS[1].to_string()]);
    let moved = moved.set("spec.clusterIP", new.to_string());
    scene.manifests.apply("web.yaml", &[moved]).expect("a manifest");
    let target = SocketAddr::new(VIP4, PORT);
    etm_testkit::wait::until("the old address is gone", || {
        scene.members(target, etm_model::Protocol::Tcp).is_none()
    });
    assert_eq!(call(VIP4).errno, UNHANDLED);
    assert_served(&call(new), &client);
    scene.manifests.remove("web.yaml").expect("a manifest");
    etm_testkit::wait::until("the Service is gone", || scene.get("services").is_empty());
    assert_eq!(call(new).errno, UNHANDLED);
}
