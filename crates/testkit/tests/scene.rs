//! Pods serve, callers reach them directly, in each language and protocol over both families.
#![expect(clippy::expect_used, reason = "a test fails by panicking, in its scene's set-up as well")]

use std::net::SocketAddr;

use etm_testkit::{Call, Caller, Cgroup, Language, Node, Place, Pod, Protocol, require_root};

const LANGUAGES: [Language; 3] = [Language::Std, Language::Tokio, Language::Python];

struct Scene {
    node: Node,
    server: Pod,
    client: Pod,
    cgroup: Cgroup,
}

impl Scene {
    fn new() -> Self {
        require_root().expect("privileges");
        let node = Node::new().expect("a node");
        let server = node.pod("server").expect("a Pod");
        let client = node.pod("client").expect("a Pod");
        Self { node, server, client, cgroup: Cgroup::new().expect("a cgroup") }
    }

    fn place(&self) -> Place {
        self.client.place().within(&self.cgroup)
    }
}

fn plain(address: Option<SocketAddr>) -> Option<SocketAddr> {
    address.map(|address| SocketAddr::new(address.ip().to_canonical(), address.port()))
}

fn assert_direct(call: &Call, client: &Pod) {
    assert_eq!(call.pod(), Some("server"), "{call:?}");
    assert_eq!((call.errno, &call.error), (None, &None));
    let answer = call.answer.as_ref().expect("an answer");
    let seen = answer.peer.ip();
    assert!(seen == client.ipv4() || seen == client.ipv6(), "{call:?}");
    assert_eq!(seen.is_ipv4(), call.target.is_ipv4(), "{call:?}");
}

#[test]
fn tcp_over_both_families_in_every_language() {
    let scene = Scene::new();
    let _server = scene.server.serve(&[8080], &[]).expect("a server");
    for language in LANGUAGES {
        let caller = Caller::new(&scene.place(), Protocol::Tcp).language(language);
        for target in scene.server.at(8080) {
            for call in caller.calls(target, 2).expect("calls") {
                assert_direct(&call, &scene.client);
                assert_eq!(call.peer, Some(target), "{call:?}");
                assert_eq!(call.local, call.answer.as_ref().map(|answer| answer.peer));
                assert!(call.connect_us.is_some());
            }
        }
    }
}

#[test]
fn udp_connected_and_unconnected_in_every_language() {
    let scene = Scene::new();
    let _server = scene.server.serve(&[], &[5353]).expect("a server");
    for language in LANGUAGES {
        for protocol in [Protocol::UdpConnected, Protocol::UdpUnconnected] {
            let caller = Caller::new(&scene.place(), protocol).language(language);
            for target in scene.server.at(5353) {
                for call in caller.calls(target, 3).expect("calls") {
                    assert_direct(&call, &scene.client);
                    assert_eq!(call.source, Some(target), "{call:?}");
                    let connected = protocol == Protocol::UdpConnected;
                    assert_eq!(call.peer, connected.then_some(target), "{call:?}");
                }
            }
        }
    }
}

#[test]
fn ipv4_through_ipv6_sockets() {
    let scene = Scene::new();
    let _server = scene.server.serve(&[8080], &[8080]).expect("a server");
    let [target, _] = scene.server.at(8080);
    for language in LANGUAGES {
        for protocol in [Protocol::Tcp, Protocol::UdpConnected, Protocol::UdpUnconnected] {
            let caller = Caller::new(&scene.place(), protocol).language(language).mapped();
            let call = caller.call(target).expect("a call");
            assert_direct(&call, &scene.client);
            let shown = call.peer.or(call.source).expect("an address");
            assert!(shown.is_ipv6(), "{call:?}");
            assert_eq!(plain(Some(shown)), Some(target), "{call:?}");
        }
    }
}

#[test]
fn mptcp_sockets() {
    let scene = Scene::new();
    let _server = scene.server.serve(&[8080], &[]).expect("a server");
    for language in LANGUAGES {
        let caller = Caller::new(&scene.place(), Protocol::Tcp).language(language).mptcp();
        for target in scene.server.at(8080) {
            assert_direct(&caller.call(target).expect("a call"), &scene.client);
        }
    }
}

#[test]
fn the_node_a_pod_and_the_pod_itself_are_callers_as_well() {
    let scene = Scene::new();
    let _server = scene.server.serve(&[80], &[]).expect("a server");
    let _host = scene.node.serve("host", &[81], &[]).expect("a server");
    let from = |place: &Place, target| {
        let call = Caller::new(place, Protocol::Tcp).call(target).expect("a call");
        call.pod().map(str::to_owned)
    };
    for target in scene.server.at(80) {
        assert_eq!(from(&scene.node.place(), target).as_deref(), Some("server"));
        assert_eq!(from(&scene.server.place(), target).as_deref(), Some("server"));
    }
    let host = SocketAddr::new(scene.node.ipv6().into(), 81);
    assert_eq!(from(&scene.client.place(), host).as_deref(), Some("host"));
}

#[test]
fn a_session_keeps_its_connection_while_the_world_changes() {
    let scene = Scene::new();
    let server = scene.server.serve(&[8080], &[]).expect("a server");
    let [target, _] = scene.server.at(8080);
    for language in LANGUAGES {
        let caller = Caller::new(&scene.place(), Protocol::Tcp).language(language).keep_open();
        let mut session = caller.session(target).expect("a session");
        let first = session.call().expect("a call");
        let second = session.call().expect("a call");
        assert_direct(&second, &scene.client);
        assert_eq!(first.local, second.local);
        assert_eq!(second.connect_us, None);
    }
    let caller = Caller::new(&scene.place(), Protocol::Tcp).keep_open();
    let mut session = caller.session(target).expect("a session");
    assert!(session.call().expect("a call").answered());
    drop(server);
    assert!(!session.call().expect("a call").answered());
    // The port is closed now, which the errno of connect says.
    let refused = session.call().expect("a call");
    assert_eq!(refused.errno, Some(111), "{refused:?}");
    assert!(refused.error.is_some_and(|error| error.starts_with("connect: ")));
}

#[test]
fn one_unconnected_socket_talks_to_several_targets() {
    let scene = Scene::new();
    let other = scene.node.pod("other").expect("a Pod");
    let _server = scene.server.serve(&[], &[53]).expect("a server");
    let _other = other.serve(&[], &[53]).expect("a server");
    for language in LANGUAGES {
        let caller = Caller::new(&scene.place(), Protocol::UdpUnconnected).language(language);
        let mut session = caller.session(scene.server.at(53)[0]).expect("a session");
        let first = session.call().expect("a call");
        let second = session.call_to(other.at(53)[0]).expect("a call");
        assert_eq!((first.pod(), second.pod()), (Some("server"), Some("other")));
        assert_eq!(
            first.local.map(|local| local.port()),
            second.local.map(|local| local.port()),
            "one socket has one port"
        );
    }
}

#[test]
fn what_is_not_routed_fails_at_once() {
    let scene = Scene::new();
    for language in LANGUAGES {
        let caller = Caller::new(&scene.place(), Protocol::Tcp).language(language);
        let call = caller.call("10.96.0.1:80".parse().expect("an address")).expect("a call");
        // ENETUNREACH: nothing leaves the machine.
        assert_eq!(call.errno, Some(101), "{call:?}");
    }
}
