//! Node ports: on the node's addresses, and on loopback for the node's own network alone.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use etm_abi::Counter;
use etm_model::Protocol as Transport;
use etm_testkit::{Agent, Caller, Pod, Protocol, objects};

use crate::scene::{Backend, POD_PORT, PORT, REFUSED, Scene, VIPS, assert_served, plain};
use etm_testkit::wait::until;

const NODE_PORT: u16 = 30080;
const LOOPBACK: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
const PROTOCOLS: [Protocol; 3] = [Protocol::Tcp, Protocol::UdpConnected, Protocol::UdpUnconnected];

/// A Service with a node port for TCP and UDP, and one Pod.
fn with_node_port() -> (Scene, Backend, Agent) {
    let scene = Scene::new();
    let backend = scene.backend("web-0");
    let service = objects::Service::new("web", &VIPS)
        .port("http", "TCP", PORT, POD_PORT)
        .port("echo", "UDP", PORT, POD_PORT)
        .selector("app", "web")
        .set("spec.type", "NodePort");
    let mut service: serde_json::Value = service.into();
    for port in service["spec"]["ports"].as_array_mut().expect("ports") {
        port["nodePort"] = NODE_PORT.into();
    }
    scene.manifests.apply("web.yaml", &[service]).expect("a manifest");
    scene.declare(&backend.pod, true);
    let agent = scene.start();
    (scene, backend, agent)
}

fn node_addresses(scene: &Scene) -> [IpAddr; 2] {
    [scene.node.ipv4().into(), scene.node.ipv6().into()]
}

#[test]
fn pods_and_the_node_reach_it_on_the_nodes_addresses() {
    let (scene, _backend, _agent) = with_node_port();
    let client = scene.client();
    for protocol in PROTOCOLS {
        for ip in node_addresses(&scene) {
            let target = SocketAddr::new(ip, NODE_PORT);
            let call = scene.caller(&client, protocol).call(target).expect("a call");
            assert_served(&call, &client);
            let own = Caller::new(&scene.node.place().within(&scene.cgroup), protocol);
            let call = own.call(target).expect("a call");
            assert_eq!(call.pod(), Some("web-0"), "{call:?}");
        }
    }
}

#[test]
fn the_node_reaches_it_on_its_loopback() {
    let (scene, _backend, _agent) = with_node_port();
    for protocol in PROTOCOLS {
        let caller = Caller::new(&scene.node.place().within(&scene.cgroup), protocol);
        for ip in LOOPBACK {
            let target = SocketAddr::new(ip, NODE_PORT);
            let call = caller.call(target).expect("a call");
            assert_eq!(call.pod(), Some("web-0"), "{call:?}");
            assert_eq!(call.peer.or(call.source).map(plain), Some(target), "{call:?}");
            // The Pod sees an address of the node that it can answer to.
            let seen = call.answer.as_ref().expect("an answer").peer.ip();
            assert!(node_addresses(&scene).contains(&seen), "{call:?}");
        }
    }
}

#[test]
fn a_pods_own_loopback_is_its_own() {
    let (scene, _backend, _agent) = with_node_port();
    let (serving, silent) = (scene.client(), scene.node.pod("silent").expect("a Pod"));
    let _server = serving.serve(&[NODE_PORT], &[NODE_PORT]).expect("a server");
    for protocol in PROTOCOLS {
        for ip in LOOPBACK {
            let target = SocketAddr::new(ip, NODE_PORT);
            let call = |pod: &Pod| scene.caller(pod, protocol).call(target).expect("a call");
            assert_eq!(call(&serving).pod(), Some("client"), "{protocol:?} to {ip}");
            assert!(!call(&silent).answered());
        }
    }
    let call = scene.caller(&silent, Protocol::Tcp);
    let call = call.call(SocketAddr::new(LOOPBACK[0], NODE_PORT)).expect("a call");
    assert_eq!(call.errno, REFUSED, "by its own kernel: {call:?}");
    let counters = scene.counters();
    let touched = [Counter::ConnectForwarded, Counter::SendForwarded, Counter::ConnectNoEndpoints];
    assert_eq!(touched.map(|counter| counters[&counter]), [0; 3]);
}

#[test]
fn addresses_that_the_node_gets_and_loses_follow() {
    let (scene, _backend, _agent) = with_node_port();
    let client = scene.client();
    for (address, length) in [("10.244.0.200", 32), ("fd00:10:244::c8", 128)] {
        let ip: IpAddr = address.parse().expect("an address");
        let target = SocketAddr::new(ip, NODE_PORT);
        assert_eq!(scene.members(target, Transport::Tcp), None);
        let change = |verb: &str| {
            let flags = if ip.is_ipv6() && verb == "add" { " nodad" } else { "" };
            let line = format!("addr {verb} {address}/{length} dev pods{flags}\n");
            scene.node.namespace().ip(&line).expect("ip");
        };
        change("add");
        until("the new address is a frontend", || {
            scene.members(target, Transport::Tcp) == Some(1)
                && scene.members(target, Transport::Udp) == Some(1)
        });
        for protocol in PROTOCOLS {
            let call = scene.caller(&client, protocol).call(target).expect("a call");
            assert_served(&call, &client);
        }
        change("del");
        until("the lost address is none", || {
            scene.members(target, Transport::Tcp).is_none()
                && scene.members(target, Transport::Udp).is_none()
        });
    }
}

#[test]
fn a_service_without_a_pod_refuses_on_its_node_port() {
    let (scene, backend, _agent) = with_node_port();
    scene.withdraw(backend.pod.name());
    scene.until_web_has(0);
    let caller = Caller::new(&scene.node.place().within(&scene.cgroup), Protocol::Tcp);
    for ip in node_addresses(&scene).into_iter().chain(LOOPBACK) {
        let call = caller.call(SocketAddr::new(ip, NODE_PORT)).expect("a call");
        assert_eq!(call.errno, REFUSED, "{call:?}");
    }
    assert_eq!(scene.counters()[&Counter::ConnectNoEndpoints], 4);
}
