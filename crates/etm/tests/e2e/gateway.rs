//! Routes of the Gateway API from a directory, by real sockets.

use std::collections::BTreeSet;

use etm_testkit::wait::until;
use etm_testkit::{Protocol, objects};
use serde_json::{Value, json};

use crate::balancing::{
    crowd::{self, callers_of},
    stage::{Stage, TARGET},
};
use crate::scene::{POD_PORT, PORT, REFUSED, web_pod};

const GROUP: &str = "gateway.networking.k8s.io";
const CALLERS: u32 = 20;

/// Service `web` with a Pod of each version, of which Services `old` and `new` have one each, and Service
/// `none` nothing.
fn stage() -> Stage {
    let stage = Stage::prepared(2, CALLERS, |_| {}, |agent| agent);
    for (pod, version) in [("web-0", "1"), ("web-1", "2")] {
        let object = web_pod(stage.pod(pod)).label("version", version);
        stage.scene.manifests.apply(&format!("pod-{pod}.yaml"), &[object]).expect("a manifest");
    }
    let services = [("old", "1"), ("new", "2"), ("none", "3")].map(|(name, version)| {
        objects::Service::new(name, &[])
            .set("spec.clusterIP", "None")
            .set("spec.clusterIPs", vec!["None"])
            .port("http", "TCP", POD_PORT, POD_PORT)
            .port("echo", "UDP", POD_PORT, POD_PORT)
            .selector("version", version)
    });
    stage.scene.manifests.apply("versions.yaml", &services).expect("a manifest");
    stage
}

/// Writes a route of Service `web` down, and waits until the maps have another one.
fn apply(stage: &Stage, kind: &str, namespace: &str, backends: &[(&str, u32)]) {
    let backends: Vec<Value> = backends
        .iter()
        .map(|(name, weight)| {
            json!({"name": name, "namespace": "default", "port": POD_PORT, "weight": weight})
        })
        .collect();
    let parent = json!({"group": "", "kind": "Service", "namespace": "default", "name": "web", "port": PORT});
    let route = json!({
        "apiVersion": format!("{GROUP}/v1"),
        "kind": kind,
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {"parentRefs": [parent], "rules": [{"backendRefs": backends}]},
    });
    let before = stage.contents().routes;
    let file = format!("{kind}-{namespace}.yaml");
    stage.scene.manifests.apply(&file, &[route]).expect("a manifest");
    until("the maps have another route", || stage.contents().routes != before);
}

fn of_namespace(namespace: &str) -> BTreeSet<String> {
    let numbers = (0..CALLERS).filter(|number| crowd::namespace(*number) == namespace);
    numbers.map(crowd::name).collect()
}

#[test]
fn a_backend_without_endpoints_refuses_its_share() {
    let stage = stage();
    apply(&stage, "TCPRoute", "default", &[("new", 1), ("none", 1)]);
    let names: Vec<_> = stage.crowd.names().collect();
    let (mut new, mut refused) = (0, 0);
    for name in names.iter().cycle().take(200) {
        let call = stage.crowd.caller(name, Protocol::Tcp).call(TARGET).expect("a call");
        match (call.pod(), call.errno) {
            (Some("web-1"), _) => new += 1,
            (None, REFUSED) => refused += 1,
            _ => panic!("{call:?}"),
        }
    }
    // Half of 200: six standard deviations are 42.
    assert!((58..=142).contains(&refused) && new + refused == 200, "{new} and {refused}");
    // It is a route of TCP alone.
    let mut udp = BTreeSet::new();
    until("UDP reaches both", || {
        udp.extend(
            stage.crowd.found_by(TARGET, Protocol::UdpConnected, |caller| caller).into_values(),
        );
        udp.len() == 2
    });
}

#[test]
fn a_udp_route_leads_datagrams_by_weight() {
    let stage = stage();
    apply(&stage, "UDPRoute", "default", &[("old", 3), ("new", 1)]);
    for protocol in [Protocol::UdpConnected, Protocol::UdpUnconnected] {
        let found = || stage.crowd.found_by(TARGET, protocol, |caller| caller);
        let new: usize = (0..10).map(|_| callers_of(&found(), "web-1").len()).sum();
        // A quarter of 200: six standard deviations are 37.
        assert!((13..=87).contains(&new), "{protocol:?}: {new}");
    }
    apply(&stage, "UDPRoute", "default", &[("old", 0), ("new", 1)]);
    for protocol in [Protocol::UdpConnected, Protocol::UdpUnconnected] {
        let found = stage.crowd.found_by(TARGET, protocol, |caller| caller);
        assert_eq!(callers_of(&found, "web-1").len(), CALLERS as usize, "{protocol:?}");
    }
}

#[test]
fn a_route_in_the_callers_namespace_is_for_them_alone() {
    let stage = stage();
    let grant = json!({
        "apiVersion": format!("{GROUP}/v1beta1"),
        "kind": "ReferenceGrant",
        "metadata": {"name": "green", "namespace": "default"},
        "spec": {
            "from": [{"group": GROUP, "kind": "TCPRoute", "namespace": "green"}],
            "to": [{"group": "", "kind": "Service", "name": "new"}],
        },
    });
    stage.scene.manifests.apply("grant.yaml", &[grant]).expect("a manifest");
    apply(&stage, "TCPRoute", "default", &[("old", 1)]);
    apply(&stage, "TCPRoute", "green", &[("new", 1)]);
    for _ in 0..3 {
        let found = stage.crowd.found(TARGET);
        assert_eq!(callers_of(&found, "web-1"), of_namespace("green"));
        assert_eq!(callers_of(&found, "web-0"), of_namespace("amber"));
    }
}
