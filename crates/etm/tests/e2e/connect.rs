//! `connect()` to a Service reaches a Pod directly, over TCP, MPTCP and UDP, in every runtime.

use std::net::SocketAddr;

use etm_abi::Counter;
use etm_testkit::{Caller, Protocol, objects};

use crate::scene::{
    LANGUAGES, POD_PORT, PORT, Scene, UNHANDLED, VIP4, VIPS, assert_served, plain, web, web_pod,
};

#[test]
fn every_runtime_and_family_reaches_a_pod_and_sees_the_service() {
    let scene = Scene::new();
    let _pods = scene.web(&["web-0", "web-1"]);
    let client = scene.client();
    let _agent = scene.start();
    for language in LANGUAGES {
        for protocol in [Protocol::Tcp, Protocol::UdpConnected] {
            let caller = scene.caller(&client, protocol).language(language);
            for ip in VIPS {
                for call in caller.calls(SocketAddr::new(ip, PORT), 2).expect("calls") {
                    assert_served(&call, &client);
                    let local = call.answer.as_ref().expect("an answer").local;
                    assert_eq!(local.port(), POD_PORT, "{call:?}");
                }
            }
            let target = SocketAddr::new(VIP4, PORT);
            let call = caller.mapped().call(target).expect("a call");
            assert_served(&call, &client);
            assert!(call.peer.is_some_and(|peer| peer.is_ipv6()), "{call:?}");
        }
    }
}

#[test]
fn mptcp_sockets_see_the_service_as_well() {
    let scene = Scene::new();
    let _pods = scene.web(&["web-0"]);
    let client = scene.client();
    let _agent = scene.start();
    for language in LANGUAGES {
        let caller = scene.caller(&client, Protocol::Tcp).language(language).mptcp();
        for ip in VIPS {
            let call = caller.call(SocketAddr::new(ip, PORT)).expect("a call");
            assert_served(&call, &client);
        }
        let call = caller.mapped().call(SocketAddr::new(VIP4, PORT)).expect("a call");
        assert_served(&call, &client);
    }
}

#[test]
fn ports_are_told_apart_by_number_and_protocol() {
    let scene = Scene::new();
    let backend = scene.backend_on("web-0", &[8080, 9090]);
    let service = objects::Service::new("web", &VIPS)
        .port("http", "TCP", 80, 8080)
        .port("quic", "UDP", 80, 9090)
        .port("admin", "TCP", 81, 9090)
        .selector("app", "web");
    scene.manifests.apply("web.yaml", &[service]).expect("a manifest");
    scene.declare(&backend.pod, true);
    let client = scene.client();
    let _agent = scene.start();
    for (protocol, port, reached) in [
        (Protocol::Tcp, 80, 8080),
        (Protocol::Tcp, 81, 9090),
        (Protocol::UdpConnected, 80, 9090),
        (Protocol::UdpUnconnected, 80, 9090),
    ] {
        for ip in VIPS {
            let call = scene.caller(&client, protocol).call(SocketAddr::new(ip, port));
            let call = call.expect("a call");
            assert_served(&call, &client);
            assert_eq!(call.answer.map(|answer| answer.local.port()), Some(reached));
        }
    }
    // UDP port 81 is nobody's, and passes.
    let call = scene.caller(&client, Protocol::UdpConnected).call(SocketAddr::new(VIP4, 81));
    assert_eq!(call.expect("a call").errno, UNHANDLED);
}

#[test]
fn load_spreads_over_every_pod() {
    let scene = Scene::new();
    let pods = scene.web(&["web-0", "web-1", "web-2", "web-3"]);
    let client = scene.client();
    let _agent = scene.start();
    for protocol in [Protocol::Tcp, Protocol::UdpConnected] {
        for ip in VIPS {
            let caller = scene.caller(&client, protocol);
            let calls = caller.calls(SocketAddr::new(ip, PORT), 200).expect("calls");
            let mut counts = pods.iter().map(|backend| {
                calls.iter().filter(|call| call.pod() == Some(backend.pod.name())).count()
            });
            // A quarter each; by chance, fewer than ten would be once in a hundred million times.
            assert!(counts.all(|count| count >= 10), "{protocol:?} to {ip}");
        }
    }
}

#[test]
fn the_sockets_real_peer_is_the_pod() {
    let scene = Scene::new();
    let pods = scene.web(&["web-0"]);
    let client = scene.client();
    let _agent = scene.start();
    // With a rule that asks for it, the kernel tracks connections in this namespace; the entry
    // shows both directions as the packets had them.
    let rule = "add table inet t; \
                add chain inet t c { type filter hook output priority 0; }; \
                add rule inet t c ct state new accept";
    let nft = client.command("nft").arg(rule).output().expect("nft");
    assert!(nft.status.success(), "{nft:?}");
    let caller = scene.caller(&client, Protocol::Tcp).keep_open();
    let mut session = caller.session(SocketAddr::new(VIP4, PORT)).expect("a session");
    assert_served(&session.call().expect("a call"), &client);

    let read = |path: &str| {
        let output = client.command("cat").arg(path).output().expect("cat");
        String::from_utf8(output.stdout).expect("text")
    };
    let remote = format!("{:08X}:{POD_PORT:04X}", u32::from_ne_bytes(pods[0].pod.ipv4().octets()));
    let sockets = read("/proc/net/tcp");
    assert!(sockets.contains(&remote), "{remote} is not in\n{sockets}");
    let tracked = read("/proc/net/nf_conntrack");
    assert!(tracked.contains(&format!("dst={} ", pods[0].pod.ipv4())), "{tracked}");
    assert!(!tracked.contains(&VIP4.to_string()), "nothing was translated:\n{tracked}");
}

#[test]
fn what_is_not_a_service_passes_untouched() {
    let scene = Scene::new();
    let pods = scene.web(&["web-0"]);
    let client = scene.client();
    let _agent = scene.start();
    let before = scene.counters();
    for protocol in [Protocol::Tcp, Protocol::UdpConnected, Protocol::UdpUnconnected] {
        for target in pods[0].pod.at(POD_PORT) {
            let call = scene.caller(&client, protocol).call(target).expect("a call");
            // Served by the Pod at its own address, and that is what the caller sees.
            assert_served(&call, &client);
        }
        // An address that nobody has.
        let nobody = SocketAddr::new("10.96.0.99".parse().expect("an address"), PORT);
        let call = scene.caller(&client, protocol).call(nobody).expect("a call");
        assert_eq!(call.errno, UNHANDLED, "{call:?}");
    }
    assert_eq!(scene.counters(), before);
}

#[test]
fn only_processes_of_the_cgroup_are_covered() {
    let scene = Scene::new();
    let _pods = scene.web(&["web-0"]);
    let client = scene.client();
    let _agent = scene.start();
    let target = SocketAddr::new(VIP4, PORT);
    let outside = Caller::new(&client.place(), Protocol::Tcp).call(target).expect("a call");
    assert_eq!(outside.errno, UNHANDLED, "{outside:?}");
    let pod_cgroup = scene.cgroup.child("pod").expect("a child");
    let below = Caller::new(&client.place().within(&pod_cgroup), Protocol::Tcp);
    assert_served(&below.call(target).expect("a call"), &client);
    assert_eq!(scene.counters()[&Counter::ConnectForwarded], 1);
}

#[test]
fn a_pod_reaches_itself_through_its_own_service() {
    let scene = Scene::new();
    let pods = scene.web(&["web-0"]);
    let itself = &pods[0].pod;
    let _agent = scene.start();
    for protocol in [Protocol::Tcp, Protocol::UdpConnected, Protocol::UdpUnconnected] {
        for ip in VIPS {
            let call = scene.caller(itself, protocol).call(SocketAddr::new(ip, PORT));
            let call = call.expect("a call");
            assert_served(&call, itself);
            assert_eq!(call.pod(), Some("web-0"));
        }
    }
}

#[test]
fn a_service_of_one_family_leaves_the_other_alone() {
    let scene = Scene::new();
    let backend = scene.backend("web-0");
    let service = web().set("spec.clusterIPs", vec![VIP4.to_string()]);
    let service = service.set("spec.ipFamilies", vec!["IPv4"]);
    scene.manifests.apply("web.yaml", &[service]).expect("a manifest");
    scene.manifests.apply("pod.yaml", &[web_pod(&backend.pod)]).expect("a manifest");
    let client = scene.client();
    let _agent = scene.start();
    let [v4, v6] = VIPS.map(|ip| {
        let caller = scene.caller(&client, Protocol::Tcp);
        caller.call(SocketAddr::new(ip, PORT)).expect("a call")
    });
    assert_served(&v4, &client);
    assert_eq!(v4.peer.map(plain), Some(SocketAddr::new(VIP4, PORT)));
    assert_eq!(v6.errno, UNHANDLED, "{v6:?}");
}
