//! Which endpoints are called from where: traffic policies, hints, and the fallbacks of each.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use etm_model::Protocol as Transport;
use etm_testkit::{Agent, Caller, Pod, Protocol, objects};
use serde_json::{Value, json};

use crate::scene::{Backend, POD_PORT, PORT, REFUSED, Scene, VIP4, web_pod};
use etm_testkit::wait::until;

const NODE_PORT: u16 = 30080;
const EXTERNAL: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7));
const BALANCED: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1));

/// Where an endpoint is and how it is.
struct At {
    node: &'static str,
    hints: Value,
    /// ready, serving, terminating.
    conditions: [bool; 3],
}

const READY: [bool; 3] = [true, true, false];
const ENDING: [bool; 3] = [false, true, true];

fn on(node: &'static str) -> At {
    At { node, hints: Value::Null, conditions: READY }
}

/// A Service of type LoadBalancer with Pods "near" and "far". All are on one machine; which node
/// each of them is on, only its slice says.
struct Served {
    scene: Scene,
    client: Pod,
    pods: [Backend; 2],
    _agent: Agent,
}

impl Served {
    fn new(spec: &[(&str, Value)], near: Option<At>, far: Option<At>) -> Self {
        let scene = Scene::new();
        let pods = ["near", "far"].map(|name| scene.backend(name));
        let service = objects::Service::new("web", &[VIP4])
            .port("http", "TCP", PORT, POD_PORT)
            .set("spec.type", "LoadBalancer")
            .set("spec.externalIPs", vec![EXTERNAL.to_string()])
            .set("status.loadBalancer.ingress", json!([{"ip": BALANCED.to_string()}]));
        let service = spec.iter().fold(service, |service, (field, value)| {
            service.set(&format!("spec.{field}"), value.clone())
        });
        let mut service: Value = service.into();
        service["spec"]["ports"][0]["nodePort"] = NODE_PORT.into();
        scene.manifests.apply("web.yaml", &[service]).expect("a manifest");
        let node = json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {"name": "node-a", "labels": {"topology.kubernetes.io/zone": "east"}},
        });
        scene.manifests.apply("node.yaml", &[node]).expect("a manifest");
        scene.manifests.apply("slice.yaml", &[slice(&pods, near, far)]).expect("a manifest");
        let client = scene.client();
        let agent = scene.start();
        Self { scene, client, pods, _agent: agent }
    }

    /// Says otherwise where the Pods are, and waits until an address has so many of them.
    fn declare(&self, near: Option<At>, far: Option<At>, place: SocketAddr, members: u32) {
        let slice = slice(&self.pods, near, far);
        self.scene.manifests.apply("slice.yaml", &[slice]).expect("a manifest");
        until(&format!("{place} has {members}"), || {
            self.scene.members(place, Transport::Tcp) == Some(members)
        });
    }

    /// From a Pod of this node, and from a process of the node itself.
    fn callers(&self) -> [Caller; 2] {
        let node = self.scene.node.place().within(&self.scene.cgroup);
        [self.scene.caller(&self.client, Protocol::Tcp), Caller::new(&node, Protocol::Tcp)]
    }

    /// Both callers reach these Pods at a place, and no others.
    #[track_caller]
    fn reaches(&self, place: SocketAddr, names: &[&str]) {
        for caller in self.callers() {
            let calls = caller.calls(place, 40).expect("calls");
            let reached: BTreeSet<_> = calls.iter().map(|call| call.pod()).collect();
            let expected = names.iter().map(|name| Some(*name)).collect();
            assert_eq!(reached, expected, "{place}: {:?}", calls.first());
        }
    }

    /// Both callers are refused at a place.
    #[track_caller]
    fn refuses(&self, place: SocketAddr) {
        for caller in self.callers() {
            let call = caller.call(place).expect("a call");
            assert_eq!(call.errno, REFUSED, "{call:?}");
        }
    }

    /// A place on the node's own address.
    fn node_port(&self) -> SocketAddr {
        SocketAddr::new(self.scene.node.ipv4().into(), NODE_PORT)
    }

    /// The node's loopback, which only its own processes have.
    #[track_caller]
    fn loopback_reaches(&self, name: Option<&str>) {
        let place = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), NODE_PORT);
        let [_, node] = self.callers();
        for call in node.calls(place, 10).expect("calls") {
            assert_eq!(call.pod(), name, "{call:?}");
        }
    }
}

fn slice(pods: &[Backend; 2], near: Option<At>, far: Option<At>) -> objects::EndpointSlice {
    let endpoints = pods.iter().zip([near, far]).filter_map(|(backend, at)| {
        let At { node, hints, conditions: [ready, serving, terminating] } = at?;
        Some(json!({
            "addresses": [backend.pod.ipv4().to_string()],
            "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
            "nodeName": node,
            "hints": hints,
        }))
    });
    objects::EndpointSlice::new("web-1", "web", "IPv4")
        .port("http", "TCP", POD_PORT)
        .set("endpoints", endpoints.collect::<Vec<_>>())
}

fn place(ip: IpAddr) -> SocketAddr {
    SocketAddr::new(ip, PORT)
}

const BOTH: [&str; 2] = ["near", "far"];

#[test]
fn internal_traffic_policy_local() {
    let spec = [("internalTrafficPolicy", "Local".into())];
    let served = Served::new(&spec, Some(on("node-a")), Some(on("node-b")));
    served.reaches(place(VIP4), &["near"]);
    for other in [place(EXTERNAL), place(BALANCED), served.node_port()] {
        served.reaches(other, &BOTH);
    }
    served.declare(None, Some(on("node-b")), place(VIP4), 0);
    served.refuses(place(VIP4));
    served.reaches(served.node_port(), &["far"]);
}

#[test]
fn external_traffic_policy_local_on_node_ports() {
    let spec = [("externalTrafficPolicy", "Local".into())];
    let served = Served::new(&spec, Some(on("node-a")), Some(on("node-b")));
    served.reaches(served.node_port(), &["near"]);
    served.loopback_reaches(Some("near"));
    served.reaches(place(VIP4), &BOTH);
    served.declare(None, Some(on("node-b")), served.node_port(), 0);
    served.refuses(served.node_port());
    served.loopback_reaches(None);
    served.reaches(place(VIP4), &["far"]);
}

#[test]
fn external_traffic_policy_local_has_cluster_semantics_at_external_and_load_balancer_addresses() {
    let spec = [("externalTrafficPolicy", "Local".into())];
    let served = Served::new(&spec, Some(on("node-a")), Some(on("node-b")));
    for ip in [EXTERNAL, BALANCED] {
        served.reaches(place(ip), &BOTH);
    }
    served.declare(None, Some(on("node-b")), place(BALANCED), 1);
    for ip in [EXTERNAL, BALANCED] {
        served.reaches(place(ip), &["far"]);
    }
}

#[test]
fn hints_for_zones_and_nodes() {
    let hinted = |hints| Some(At { hints, ..on("node-b") });
    let zone = |name: &str| json!({"forZones": [{"name": name}]});
    let served = Served::new(&[], hinted(zone("east")), hinted(zone("west")));
    served.reaches(place(VIP4), &["near"]);
    served.reaches(served.node_port(), &["near"]);
    // One without a hint: they are not to be relied on.
    served.declare(hinted(zone("east")), hinted(Value::Null), place(VIP4), 2);
    served.reaches(place(VIP4), &BOTH);
    let node = |name: &str| json!({"forNodes": [{"name": name}], "forZones": [{"name": "east"}]});
    served.declare(hinted(node("node-b")), hinted(node("node-a")), place(VIP4), 1);
    served.reaches(place(VIP4), &["far"]);
    // For no node that is this one, but both for its zone.
    served.declare(hinted(node("node-b")), hinted(node("node-c")), place(VIP4), 2);
    served.reaches(place(VIP4), &BOTH);
}

#[test]
fn terminating_endpoints_are_the_fallback_of_each_policy_by_itself() {
    let spec = [("externalTrafficPolicy", "Local".into())];
    let ending = |node| Some(At { conditions: ENDING, ..on(node) });
    let served = Served::new(&spec, ending("node-a"), Some(on("node-b")));
    // Ready ones there are elsewhere only.
    served.reaches(served.node_port(), &["near"]);
    served.loopback_reaches(Some("near"));
    for ip in [VIP4, EXTERNAL, BALANCED] {
        served.reaches(place(ip), &["far"]);
    }
    served.declare(ending("node-a"), ending("node-b"), place(VIP4), 2);
    served.reaches(place(VIP4), &BOTH);
    served.reaches(served.node_port(), &["near"]);
}

#[test]
fn pods_without_slices_are_local_by_their_node_name() {
    let scene = Scene::new();
    let pods = BOTH.map(|name| scene.backend(name));
    for (backend, node) in pods.iter().zip(["node-a", "node-b"]) {
        let object = web_pod(&backend.pod).set("spec.nodeName", node);
        let file = format!("{node}.yaml");
        scene.manifests.apply(&file, &[object]).expect("a manifest");
    }
    let service = objects::Service::new("web", &[VIP4])
        .port("http", "TCP", PORT, POD_PORT)
        .selector("app", "web")
        .set("spec.internalTrafficPolicy", "Local");
    scene.manifests.apply("web.yaml", &[service]).expect("a manifest");
    let client = scene.client();
    let _agent = scene.start();
    let calls = scene.caller(&client, Protocol::Tcp).calls(place(VIP4), 20).expect("calls");
    assert!(calls.iter().all(|call| call.pod() == Some("near")), "{calls:?}");
}
