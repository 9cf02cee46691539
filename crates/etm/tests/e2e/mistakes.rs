//! What an object has wrong is told by object, field and way out, and the rest of it works.

use std::net::{IpAddr, SocketAddr};

use etm_testkit::{Agent, Pod, Protocol, objects};
use serde_json::{Value, json};

use crate::scene::{Backend, POD_PORT, PORT, Scene, UNHANDLED, VIP4, VIP6, assert_served, web};
use etm_testkit::wait::{until, until_logged};

/// A scene with a Pod, the given objects and `web`, which must work beside them.
struct Beside {
    scene: Scene,
    client: Pod,
    agent: Agent,
    _backend: Backend,
}

impl Beside {
    fn new(objects: &[Value]) -> Self {
        let scene = Scene::new();
        let backend = scene.backend("web-0");
        scene.declare(&backend.pod, true);
        scene.manifests.apply("objects.yaml", objects).expect("manifests");
        scene.manifests.apply("web.yaml", &[web()]).expect("a manifest");
        let client = scene.client();
        let agent = scene.start();
        let beside = Self { scene, client, agent, _backend: backend };
        beside.is_served(VIP4, PORT);
        beside
    }

    #[track_caller]
    fn is_served(&self, ip: impl Into<IpAddr>, port: u16) {
        assert_served(&self.call(ip, port), &self.client);
    }

    fn call(&self, ip: impl Into<IpAddr>, port: u16) -> etm_testkit::Call {
        let caller = self.scene.caller(&self.client, Protocol::Tcp);
        caller.call(SocketAddr::new(ip.into(), port)).expect("a call")
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn service(name: &str, address: &str) -> objects::Service {
    objects::Service::new(name, &[ip(address)])
        .port("http", "TCP", PORT, POD_PORT)
        .selector("app", "web")
}

#[test]
fn of_two_services_on_one_address_the_older_has_it() {
    let created = "metadata.creationTimestamp";
    let young = service("a-young", "10.96.0.50").set(created, "2026-01-02T00:00:00Z");
    let old = service("b-old", "10.96.0.50").set(created, "2026-01-01T00:00:00Z");
    let beside = Beside::new(&[young.clone().into(), old.into()]);
    let reason = "10.96.0.50 port 80/TCP belongs to Service default/b-old, which is older";
    let told =
        ["WARN", "Service default/a-young: spec.clusterIPs: ", reason, "give one of the two"];
    until_logged(&beside.agent, &told);
    beside.is_served(ip("10.96.0.50"), PORT);
    let owner = || {
        let rows = beside.scene.get("services");
        let row = rows.into_iter().find(|row| row["address"] == "10.96.0.50:80");
        row.map(|row| row["service"].as_str().expect("a name").to_owned())
    };
    assert_eq!(owner().as_deref(), Some("default/b-old:http/TCP"));
    // Without the older one, the younger has it.
    beside.scene.manifests.apply("objects.yaml", &[young]).expect("manifests");
    until("the younger has it", || owner().as_deref() == Some("default/a-young:http/TCP"));
    until_logged(&beside.agent, &["INFO", "mended: Service default/a-young", "b-old"]);
    beside.is_served(ip("10.96.0.50"), PORT);
}

#[test]
fn an_unknown_kind_is_named_and_passed_over() {
    let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}});
    let old = json!({
        "apiVersion": "discovery.k8s.io/v1beta1", "kind": "EndpointSlice",
        "metadata": {"name": "web-old"}, "addressType": "IPv4", "endpoints": [],
    });
    let good = service("good", "10.96.0.51");
    let beside = Beside::new(&[config, old, good.into()]);
    let told = ["WARN", "ConfigMap settings (objects.yaml:1): kind: ", "not read here"];
    until_logged(&beside.agent, &told);
    let told = ["EndpointSlice web-old (objects.yaml:", "apiVersion: ", "discovery.k8s.io/v1;"];
    until_logged(&beside.agent, &told);
    beside.is_served(ip("10.96.0.51"), PORT);
}

#[test]
fn an_address_of_the_wrong_family_is_left_out() {
    let both = objects::Service::new("mixed", &[ip("10.96.0.52"), ip("fd00:10:96::52")])
        .set("spec.ipFamilies", vec!["IPv4", "IPv4"])
        .port("http", "TCP", PORT, POD_PORT)
        .selector("app", "web");
    let sliced = objects::Service::new("sliced", &[ip("10.96.0.53")]).port("http", "TCP", PORT, 1);
    let pod = ip("10.244.0.2");
    let slice = objects::EndpointSlice::new("sliced-1", "sliced", "IPv4")
        .port("http", "TCP", POD_PORT)
        .endpoint(VIP6, true)
        .endpoint(pod, true);
    let beside = Beside::new(&[both.into(), sliced.into(), slice.into()]);
    let told = ["WARN", "Service default/mixed (", "): spec.", "left out"];
    until_logged(&beside.agent, &told);
    let reason = format!("`{VIP6}` is not an IPv4 address");
    let field = "): endpoints[0].addresses[0]: ";
    let told = ["WARN", "EndpointSlice default/sliced-1 (", field, &reason, "left out"];
    until_logged(&beside.agent, &told);
    beside.is_served(ip("10.96.0.52"), PORT);
    beside.is_served(ip("10.96.0.53"), PORT);
    assert_eq!(beside.call(ip("fd00:10:96::52"), PORT).errno, UNHANDLED);
}

#[test]
fn a_port_out_of_range_is_left_out() {
    let ports = json!([
        {"name": "huge", "protocol": "TCP", "port": 70_000, "targetPort": POD_PORT},
        {"name": "http", "protocol": "TCP", "port": PORT, "targetPort": POD_PORT},
        {"name": "odd", "protocol": "QUIC", "port": 81, "targetPort": POD_PORT},
    ]);
    let beside = Beside::new(&[service("ports", "10.96.0.54").set("spec.ports", ports).into()]);
    let object = "Service default/ports (objects.yaml:1): ";
    let range = "spec.ports[0].port: port 70000 is out of range";
    until_logged(&beside.agent, &["WARN", object, range, "use a number from 1 to 65535"]);
    let protocol = "spec.ports[2].protocol: protocol `QUIC` is not known";
    until_logged(&beside.agent, &["WARN", object, protocol, "use TCP, UDP or SCTP"]);
    beside.is_served(ip("10.96.0.54"), PORT);
}

#[test]
fn sctp_is_left_to_others_and_said_so() {
    let both = service("signal", "10.96.0.55").port("sctp", "SCTP", PORT, POD_PORT);
    let beside = Beside::new(&[both.into()]);
    let told =
        ["WARN", "Service default/signal: spec.ports[1].protocol: ", "left to whatever else"];
    until_logged(&beside.agent, &told);
    beside.is_served(ip("10.96.0.55"), PORT);
}

#[test]
fn a_named_port_that_no_pod_has_refuses_and_is_told() {
    let named = objects::Service::new("named", &[ip("10.96.0.56")])
        .port("http", "TCP", PORT, "nowhere")
        .selector("app", "web");
    let beside = Beside::new(&[named.into()]);
    until_logged(&beside.agent, &["WARN", "Service default/named", "spec.ports[0].targetPort: "]);
    assert_eq!(beside.call(ip("10.96.0.56"), PORT).errno, crate::scene::REFUSED);
}
