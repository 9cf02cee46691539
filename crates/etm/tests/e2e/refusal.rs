//! A Service without a usable backend refuses at once, and says so.

use std::net::SocketAddr;

use etm_abi::Counter;
use etm_testkit::{Call, Protocol};

use crate::scene::{
    LANGUAGES, POD_PORT, PORT, REFUSED, Scene, UNHANDLED, VIP4, VIPS, assert_served, web,
};
use etm_testkit::wait::until;

const PROTOCOLS: [Protocol; 3] = [Protocol::Tcp, Protocol::UdpConnected, Protocol::UdpUnconnected];

#[track_caller]
fn assert_refused(call: &Call, protocol: Protocol) {
    assert_eq!(call.errno, REFUSED, "{call:?}");
    // By the very system call that named the address, not by a packet that came back.
    let step = if protocol == Protocol::UdpUnconnected { "send: " } else { "connect: " };
    assert!(call.error.as_ref().is_some_and(|error| error.starts_with(step)), "{call:?}");
}

#[test]
fn a_service_without_endpoints_refuses_in_every_runtime() {
    let scene = Scene::new();
    scene.manifests.apply("web.yaml", &[web()]).expect("a manifest");
    let client = scene.client();
    let _agent = scene.start();
    for language in LANGUAGES {
        for protocol in PROTOCOLS {
            let caller = scene.caller(&client, protocol).language(language);
            for ip in VIPS {
                let call = caller.call(SocketAddr::new(ip, PORT)).expect("a call");
                assert_refused(&call, protocol);
            }
            let call = caller.mapped().call(SocketAddr::new(VIP4, PORT)).expect("a call");
            assert_refused(&call, protocol);
        }
    }
    let mptcp = scene.caller(&client, Protocol::Tcp).mptcp();
    assert_refused(&mptcp.call(SocketAddr::new(VIP4, PORT)).expect("a call"), Protocol::Tcp);
}

#[test]
fn a_service_whose_pods_are_all_unready_refuses_until_one_is_ready() {
    let scene = Scene::new();
    let pods = scene.web(&["web-0", "web-1"]);
    let client = scene.client();
    let _agent = scene.start();
    for backend in &pods {
        scene.declare(&backend.pod, false);
    }
    scene.until_web_has(0);
    for protocol in PROTOCOLS {
        for ip in VIPS {
            let call = scene.caller(&client, protocol).call(SocketAddr::new(ip, PORT));
            assert_refused(&call.expect("a call"), protocol);
        }
    }
    scene.declare(&pods[1].pod, true);
    scene.until_web_has(1);
    for protocol in PROTOCOLS {
        for ip in VIPS {
            let call = scene.caller(&client, protocol).call(SocketAddr::new(ip, PORT));
            let call = call.expect("a call");
            assert_served(&call, &client);
            assert_eq!(call.pod(), Some("web-1"));
        }
    }
}

#[test]
fn an_unconnected_socket_is_refused_when_its_last_pod_goes() {
    let scene = Scene::new();
    let pods = scene.web(&["web-0"]);
    let client = scene.client();
    let _agent = scene.start();
    let caller = scene.caller(&client, Protocol::UdpUnconnected);
    let mut session = caller.session(SocketAddr::new(VIP4, PORT)).expect("a session");
    assert_served(&session.call().expect("a call"), &client);
    scene.withdraw(pods[0].pod.name());
    scene.until_web_has(0);
    assert_refused(&session.call().expect("a call"), Protocol::UdpUnconnected);
}

#[test]
fn an_unknown_port_passes_unless_it_is_to_be_refused() {
    let scene = Scene::new();
    let pods = scene.web(&["web-0"]);
    let client = scene.client();
    let unknown = |scene: &Scene, protocol, ip| {
        scene.caller(&client, protocol).call(SocketAddr::new(ip, 7)).expect("a call")
    };
    let agent = scene.start();
    for protocol in PROTOCOLS {
        for ip in VIPS {
            assert_eq!(unknown(&scene, protocol, ip).errno, UNHANDLED);
        }
    }
    agent.stop().expect("an end");

    let _agent = scene.agent().arg("--unknown-port").arg("refuse").start().expect("an agent");
    for protocol in PROTOCOLS {
        for ip in VIPS {
            assert_refused(&unknown(&scene, protocol, ip), protocol);
            let known = scene.caller(&client, protocol).call(SocketAddr::new(ip, PORT));
            assert_served(&known.expect("a call"), &client);
        }
        // The Pod's own address is not the Service's: whatever port it has is its own affair.
        let direct = scene.caller(&client, protocol).call(pods[0].pod.at(POD_PORT)[0]);
        assert_served(&direct.expect("a call"), &client);
    }
    let counters = scene.counters();
    assert_eq!(counters[&Counter::ConnectUnknownPort], 4);
    assert_eq!(counters[&Counter::SendUnknownPort], 2);
}

#[test]
fn a_refusal_is_counted_and_told() {
    let scene = Scene::new();
    scene.manifests.apply("web.yaml", &[web()]).expect("a manifest");
    let client = scene.client();
    let agent = scene.start();
    let counted = |name: &str| {
        let rows = scene.get("counters");
        let row = rows.iter().find(|row| row["counter"] == name).expect("a counter");
        row["calls"].as_u64().expect("a number")
    };
    let mut caller = scene.caller(&client, Protocol::Tcp).session(SocketAddr::new(VIP4, PORT));
    let caller = caller.as_mut().expect("a session");
    caller.call().expect("a call");
    let expected = [
        "WARN".to_owned(),
        "connect() refused, the Service has no ready endpoint".to_owned(),
        format!("pid={}", caller.id()),
        format!("address={VIP4} port={PORT}"),
        "protocol=\"TCP\"".to_owned(),
    ];
    until("the refusal is in the log", || {
        let log = agent.stderr();
        log.lines().any(|line| expected.iter().all(|part| line.contains(part)))
    });
    assert_eq!((counted("connect-no-endpoints"), counted("send-no-endpoints")), (1, 0));
    let udp = scene.caller(&client, Protocol::UdpUnconnected);
    udp.call(SocketAddr::new(VIPS[1], PORT)).expect("a call");
    until("the refusal is in the log", || {
        agent.stderr().lines().any(|line| {
            line.contains("datagram refused, the Service has no ready endpoint")
                && line.contains(&format!("address={} port={PORT}", VIPS[1]))
        })
    });
    assert_eq!((counted("connect-no-endpoints"), counted("send-no-endpoints")), (1, 1));
}
