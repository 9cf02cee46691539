//! Unconnected UDP sockets keep their Pod, as a flow of connection tracking would.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use etm_testkit::{Call, Pod, Protocol, Session, objects};

use crate::scene::{LANGUAGES, POD_PORT, PORT, Scene, VIP4, VIPS, assert_served, web, web_pod};

/// Makes some calls on one socket, and gives the Pods that answered.
fn answered_by(session: &mut Session, client: &Pod) -> BTreeSet<String> {
    let calls = (0..20).map(|_| session.call().expect("a call"));
    calls.map(|call| pod_of(&call, client)).collect()
}

fn pod_of(call: &Call, client: &Pod) -> String {
    assert_served(call, client);
    call.pod().expect("a Pod").to_owned()
}

#[test]
fn a_socket_keeps_its_pod_and_sees_the_service_in_every_runtime() {
    let scene = Scene::new();
    let _pods = scene.web(&["web-0", "web-1", "web-2", "web-3"]);
    let client = scene.client();
    let _agent = scene.start();
    let caller = scene.caller(&client, Protocol::UdpUnconnected);
    for language in LANGUAGES {
        let caller = caller.clone().language(language);
        for ip in VIPS {
            let mut session = caller.session(SocketAddr::new(ip, PORT)).expect("a session");
            assert_eq!(answered_by(&mut session, &client).len(), 1, "{language:?} to {ip}");
        }
        let target = SocketAddr::new(VIP4, PORT);
        let mut session = caller.mapped().session(target).expect("a session");
        let call = session.call().expect("a call");
        assert!(call.source.is_some_and(|source| source.is_ipv6()), "{call:?}");
        let kept = pod_of(&call, &client);
        assert_eq!(answered_by(&mut session, &client), BTreeSet::from([kept]));
    }
}

#[test]
fn sockets_spread_over_every_pod() {
    let scene = Scene::new();
    let _pods = scene.web(&["web-0", "web-1", "web-2"]);
    let client = scene.client();
    let _agent = scene.start();
    let caller = scene.caller(&client, Protocol::UdpUnconnected);
    for ip in VIPS {
        let target = SocketAddr::new(ip, PORT);
        // A process and so a socket for each call; by chance, one Pod would be left out once in
        // ten million times.
        let pods: BTreeSet<String> =
            (0..40).map(|_| pod_of(&caller.call(target).expect("a call"), &client)).collect();
        assert_eq!(pods.len(), 3, "{pods:?}");
    }
}

/// What becomes of a socket whose Pod is no longer usable.
fn moves_when(unusable: impl Fn(&Scene, &Pod)) {
    let scene = Scene::new();
    let pods = scene.web(&["web-0", "web-1", "web-2"]);
    let client = scene.client();
    let _agent = scene.start();
    for ip in VIPS {
        let target = SocketAddr::new(ip, PORT);
        let caller = scene.caller(&client, Protocol::UdpUnconnected);
        let mut session = caller.session(target).expect("a session");
        let before = pod_of(&session.call().expect("a call"), &client);
        let pod = pods.iter().find(|backend| backend.pod.name() == before).expect("a Pod");
        unusable(&scene, &pod.pod);
        scene.until_web_has(2);
        // It has another one now, and keeps that.
        let after = answered_by(&mut session, &client);
        assert!(after.len() == 1 && !after.contains(&before), "from {before} to {after:?}");
        scene.declare(&pod.pod, true);
        scene.until_web_has(3);
        assert_eq!(answered_by(&mut session, &client), after);
    }
}

#[test]
fn a_socket_moves_when_its_pod_is_removed() {
    moves_when(|scene, pod| scene.withdraw(pod.name()));
}

#[test]
fn a_socket_moves_when_its_pod_is_unready() {
    moves_when(|scene, pod| scene.declare(pod, false));
}

#[test]
fn a_socket_stays_when_pods_come_and_others_go() {
    let scene = Scene::new();
    let mut pods = scene.web(&["web-0", "web-1"]);
    let client = scene.client();
    let _agent = scene.start();
    let caller = scene.caller(&client, Protocol::UdpUnconnected);
    let mut session = caller.session(SocketAddr::new(VIP4, PORT)).expect("a session");
    let kept = answered_by(&mut session, &client);
    assert_eq!(kept.len(), 1);
    for (number, members) in (2..6).zip(3..) {
        pods.push(scene.backend(&format!("web-{number}")));
        scene.declare(&pods[number].pod, true);
        scene.until_web_has(members);
        assert_eq!(answered_by(&mut session, &client), kept);
    }
    for (backend, left) in pods.iter().filter(|b| !kept.contains(b.pod.name())).zip((1..6).rev()) {
        scene.withdraw(backend.pod.name());
        scene.until_web_has(left);
        assert_eq!(answered_by(&mut session, &client), kept);
    }
}

#[test]
fn one_socket_may_use_two_services_with_the_same_pod() {
    let scene = Scene::new();
    let backend = scene.backend("both");
    let other: IpAddr = "10.96.0.11".parse().expect("an address");
    let second = objects::Service::new("second", &[other])
        .port("echo", "UDP", PORT, POD_PORT)
        .selector("app", "web");
    scene.manifests.apply("services.yaml", &[web(), second]).expect("manifests");
    scene.manifests.apply("pod.yaml", &[web_pod(&backend.pod)]).expect("a manifest");
    let client = scene.client();
    let _agent = scene.start();
    for language in LANGUAGES {
        let caller = scene.caller(&client, Protocol::UdpUnconnected).language(language);
        let mut session = caller.session(SocketAddr::new(VIP4, PORT)).expect("a session");
        for ip in [VIP4, other, VIP4, VIP4, other, other] {
            // Each reply shows the address that was asked, and this Pod's own once it is.
            let call = session.call_to(SocketAddr::new(ip, PORT)).expect("a call");
            assert_served(&call, &client);
        }
    }
}

#[test]
fn datagrams_to_the_pod_itself_are_left_alone() {
    let scene = Scene::new();
    let pods = scene.web(&["web-0"]);
    let client = scene.client();
    let _agent = scene.start();
    let caller = scene.caller(&client, Protocol::UdpUnconnected);
    for (vip, direct) in VIPS.into_iter().zip(pods[0].pod.at(POD_PORT)) {
        // Before the socket has talked to the Service; from then on the kernel cannot tell the
        // Pod's replies apart.
        let mut session = caller.session(direct).expect("a session");
        assert_served(&session.call().expect("a call"), &client);
        let through = session.call_to(SocketAddr::new(vip, PORT)).expect("a call");
        assert_served(&through, &client);
    }
}
