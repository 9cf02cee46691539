//! What a caller of a Service without a usable Pod sees, as a policy says.

use std::net::SocketAddr;

use etm_abi::{FRONTEND_ANYWAY, Frontend};
use etm_dataplane::View;
use etm_model::{FrontendKey, Listener, Protocol as Transport};
use etm_testkit::wait::{until, until_logged};
use etm_testkit::{Pod, Protocol, objects};
use serde_json::{Value, json};

use crate::scene::{OUT, PORT, REFUSED, Scene, VIP4, VIPS, assert_served, web};

const PROTOCOLS: [Protocol; 3] = [Protocol::Tcp, Protocol::UdpConnected, Protocol::UdpUnconnected];
/// Each that is an errno, with its number on Linux.
const ERRNOS: [(&str, u16); 4] = [
    ("HostUnreachable", 113),
    ("TimedOut", 110),
    ("PermissionDenied", 1),
    ("ConnectionRefused", 111),
];

/// A policy of `web` with further fields of its spec.
fn policy(fields: &Value) -> Value {
    let mut policy: Value = objects::TrafficPolicy::new("web", json!({})).into();
    for (field, value) in fields.as_object().expect("fields") {
        policy["spec"][field] = value.clone();
    }
    policy
}

fn set_policy(scene: &Scene, fields: &Value) {
    scene.manifests.apply("policy.yaml", &[policy(fields)]).expect("a manifest");
}

/// The frontends of `web` for one protocol.
fn frontends(scene: &Scene, protocol: Transport) -> Vec<Frontend> {
    let view = View::open(&scene.pin()).expect("maps");
    let key = |ip| FrontendKey { ip, listener: Listener::Port(PORT, protocol) };
    VIPS.into_iter().filter_map(|ip| view.frontend(&key(ip))).collect()
}

#[track_caller]
fn until_all(scene: &Scene, what: &str, protocol: Transport, holds: impl Fn(&Frontend) -> bool) {
    until(what, || {
        let found = frontends(scene, protocol);
        found.len() == VIPS.len() && found.iter().all(&holds)
    });
}

#[track_caller]
fn until_errno(scene: &Scene, tcp: u16, udp: u16) {
    for (protocol, errno) in [(Transport::Tcp, tcp), (Transport::Udp, udp)] {
        until_all(scene, &format!("{errno}"), protocol, |found| found.errno == errno);
    }
}

/// Every kind of call is refused with the errno of its protocol, by the call itself.
#[track_caller]
fn refused_with(scene: &Scene, client: &Pod, tcp: u16, udp: u16) {
    for protocol in PROTOCOLS {
        let errno = if protocol == Protocol::Tcp { tcp } else { udp };
        let caller = scene.caller(client, protocol);
        let step = if protocol == Protocol::UdpUnconnected { "send: " } else { "connect: " };
        let mapped = caller.clone().mapped().call(SocketAddr::new(VIP4, PORT));
        let calls = VIPS.map(|ip| caller.call(SocketAddr::new(ip, PORT)));
        for call in calls.into_iter().chain([mapped]) {
            let call = call.expect("a call");
            assert_eq!(call.errno, Some(errno.into()), "{call:?}");
            assert!(call.error.as_ref().is_some_and(|error| error.starts_with(step)), "{call:?}");
        }
    }
}

#[test]
fn each_errno_is_seen_and_changes_at_run_time() {
    let scene = Scene::new();
    scene.manifests.apply("web.yaml", &[web()]).expect("a manifest");
    let client = scene.client();
    let _agent = scene.start();
    until_errno(&scene, 111, 111);
    for (refusal, errno) in ERRNOS {
        set_policy(&scene, &json!({"refusal": refusal}));
        until_errno(&scene, errno, errno);
        refused_with(&scene, &client, errno, errno);
    }
    set_policy(&scene, &json!({"refusal": "TimedOut"}));
    until_errno(&scene, 110, 110);
    scene.manifests.remove("policy.yaml").expect("a manifest");
    until_errno(&scene, 111, 111);
    refused_with(&scene, &client, 111, 111);
}

#[test]
fn a_policy_of_one_port_is_for_that_port() {
    let scene = Scene::new();
    scene.manifests.apply("web.yaml", &[web()]).expect("a manifest");
    let mut tcp = policy(&json!({"refusal": "TimedOut"}));
    tcp["metadata"]["name"] = "http".into();
    tcp["spec"]["targetRef"]["port"] = "http".into();
    scene.manifests.apply("http.yaml", &[tcp]).expect("a manifest");
    let client = scene.client();
    let _agent = scene.start();
    until_errno(&scene, 110, 111);
    refused_with(&scene, &client, 110, 111);
    // Whole policies: what the one of the port does not say is as by default.
    set_policy(&scene, &json!({"refusal": "HostUnreachable"}));
    until_errno(&scene, 110, 113);
    refused_with(&scene, &client, 110, 113);
}

#[test]
fn an_open_socket_sees_the_errno_once_its_last_pod_goes() {
    let scene = Scene::new();
    let pods = scene.web(&["web-0"]);
    set_policy(&scene, &json!({"refusal": "HostUnreachable"}));
    let client = scene.client();
    let _agent = scene.start();
    until_errno(&scene, 113, 113);
    let mut sessions: Vec<_> = VIPS
        .into_iter()
        .map(|ip| {
            let caller = scene.caller(&client, Protocol::UdpUnconnected);
            caller.session(SocketAddr::new(ip, PORT)).expect("a session")
        })
        .collect();
    for session in &mut sessions {
        assert_served(&session.call().expect("a call"), &client);
    }
    scene.withdraw(pods[0].pod.name());
    scene.until_web_has(0);
    for session in &mut sessions {
        let call = session.call().expect("a call");
        assert_eq!(call.errno, Some(113), "{call:?}");
    }
}

#[test]
fn ejected_pods_refuse_with_the_errno() {
    let scene = Scene::new();
    let _pods = scene.web(&["web-0"]);
    set_policy(&scene, &json!({"refusal": "PermissionDenied"}));
    let client = scene.client();
    let agent = scene.start();
    until_errno(&scene, 1, 1);
    agent.stop().expect("an end");
    assert!(scene.set_state("web-0", OUT) > 0);
    refused_with(&scene, &client, 1, 1);
}

#[test]
fn a_port_that_the_service_lacks_refuses_as_a_policy_of_all_ports_says() {
    let scene = Scene::new();
    let _pods = scene.web(&["web-0"]);
    set_policy(&scene, &json!({"refusal": "HostUnreachable"}));
    let client = scene.client();
    let _agent = scene.agent().arg("--unknown-port").arg("refuse").start().expect("an agent");
    until_errno(&scene, 113, 113);
    for protocol in PROTOCOLS {
        let call = scene.caller(&client, protocol).call(SocketAddr::new(VIP4, 7));
        assert_eq!(call.expect("a call").errno, Some(113), "{protocol:?}");
    }
}

#[test]
fn anyway_is_a_flag_of_frontends_with_pods() {
    let scene = Scene::new();
    let pods = scene.web(&["web-0"]);
    set_policy(&scene, &json!({"refusal": "Anyway"}));
    let client = scene.client();
    let _agent = scene.start();
    let anyway = |found: &Frontend| found.flags & FRONTEND_ANYWAY != 0;
    for protocol in [Transport::Tcp, Transport::Udp] {
        until_all(&scene, "the flag", protocol, anyway);
    }
    let call = scene.caller(&client, Protocol::Tcp).call(SocketAddr::new(VIP4, PORT));
    assert_served(&call.expect("a call"), &client);
    set_policy(&scene, &json!({"refusal": "ConnectionRefused"}));
    until_all(&scene, "no flag", Transport::Tcp, |found| !anyway(found));
    set_policy(&scene, &json!({"refusal": "Anyway"}));
    until_all(&scene, "the flag again", Transport::Tcp, anyway);
    // Without any Pod there is nobody to send to.
    scene.withdraw(pods[0].pod.name());
    scene.until_web_has(0);
    until_all(&scene, "no flag", Transport::Tcp, |found| !anyway(found));
    refused_with(&scene, &client, 111, 111);
}

#[test]
fn mistakes_are_told_and_the_policy_counts_as_it_was() {
    const LEFT_OUT: &str =
        "until then the policy counts as it was before, and a new one not at all)";
    let scene = Scene::new();
    scene.manifests.apply("web.yaml", &[web()]).expect("a manifest");
    set_policy(&scene, &json!({"refusal": "TimedOut"}));
    let client = scene.client();
    let agent = scene.start();
    until_errno(&scene, 110, 110);
    for (fields, told) in [
        (json!({"refusal": "Never"}), "spec.refusal: unknown variant `Never`, expected one of"),
        (
            json!({"staleConnections": {"tcp": "Maybe"}}),
            "spec.staleConnections.tcp: unknown variant `Maybe`, expected `Keep` or `End`",
        ),
        (
            json!({"health": {"ejectionTime": "soon"}}),
            "spec.health.ejectionTime: `soon` is not a duration such as 30s, 1m30s or 500ms",
        ),
        (
            json!({"health": {"passive": {"consecutiveFailures": 0}}}),
            "spec.health.passive.consecutiveFailures: 0 is not within 1 and 100 (correct it; to \
             eject none by its connections, set enabled: false; ",
        ),
        (
            json!({"health": {"probe": {}}}),
            "spec.health.probe: needs exactly one of tcp, http and grpc (keep one, or take probe \
             away; ",
        ),
        (json!({"health": {"pasive": {}}}), "spec.health.pasive: is not known (correct its name"),
    ] {
        set_policy(&scene, &fields);
        until_logged(
            &agent,
            &["WARN", "TrafficPolicy default/web (policy.yaml:1): ", told, LEFT_OUT],
        );
    }
    refused_with(&scene, &client, 110, 110);
    scene.manifests.remove("policy.yaml").expect("a manifest");
    until_errno(&scene, 111, 111);
    let call = scene.caller(&client, Protocol::Tcp).call(SocketAddr::new(VIP4, PORT));
    assert_eq!(call.expect("a call").errno, REFUSED);
}
