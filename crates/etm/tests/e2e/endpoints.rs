//! Which endpoints of a Service are called.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use etm_model::Protocol as Transport;
use etm_testkit::{Pod, Protocol, objects};
use objects::EndpointSlice;
use serde_json::Value;

use crate::scene::{Backend, POD_PORT, PORT, REFUSED, Scene, VIP4, assert_served, web, web_pod};
use etm_testkit::wait::until;

/// The Service `web` over TCP, whose endpoints are in slices.
fn sliced() -> objects::Service {
    objects::Service::new("web", &[VIP4]).port("http", "TCP", PORT, POD_PORT)
}

fn slice(name: &str) -> EndpointSlice {
    EndpointSlice::new(name, "web", "IPv4").port("http", "TCP", POD_PORT)
}

/// Names of the Pods that answer, once the Service has so many.
#[track_caller]
fn answering(scene: &Scene, client: &Pod, members: u32) -> BTreeSet<String> {
    let target = SocketAddr::new(VIP4, PORT);
    until(&format!("{members} backends"), || {
        scene.members(target, Transport::Tcp) == Some(members)
    });
    let calls = scene.caller(client, Protocol::Tcp).calls(target, 60).expect("calls");
    calls
        .iter()
        .map(|call| {
            assert_served(call, client);
            call.pod().expect("a Pod").to_owned()
        })
        .collect()
}

fn names<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.into_iter().map(str::to_owned).collect()
}

#[test]
fn a_named_port_is_each_pods_own() {
    let scene = Scene::new();
    let pods = [("web-0", 8080), ("web-1", 9090)].map(|(name, port)| {
        let backend = scene.backend_on(name, &[port]);
        let object = web_pod(&backend.pod).port("serving", "TCP", port);
        scene.manifests.apply(&format!("{name}.yaml"), &[object]).expect("a manifest");
        (backend, port)
    });
    let service = objects::Service::new("web", &[VIP4])
        .port("http", "TCP", PORT, "serving")
        .selector("app", "web");
    scene.manifests.apply("web.yaml", &[service]).expect("a manifest");
    let client = scene.client();
    let _agent = scene.start();
    assert_eq!(answering(&scene, &client, 2), names(["web-0", "web-1"]));
    let shown: BTreeSet<_> =
        scene.get("backends").iter().map(|row| row["address"].to_string()).collect();
    let expected = pods.iter().map(|(b, port)| format!("\"{}:{port}\"", b.pod.ipv4())).collect();
    assert_eq!(shown, expected);
}

#[test]
fn a_named_port_may_have_another_number_in_each_slice() {
    let scene = Scene::new();
    let pods = [("old", 8080), ("new", 9090)].map(|(name, port)| {
        let backend = scene.backend_on(name, &[port]);
        let slice = EndpointSlice::new(&format!("web-{name}"), "web", "IPv4")
            .port("http", "TCP", port)
            .endpoint(backend.pod.ipv4(), true);
        scene.manifests.apply(&format!("{name}.yaml"), &[slice]).expect("a manifest");
        backend
    });
    scene.manifests.apply("web.yaml", &[sliced()]).expect("a manifest");
    let client = scene.client();
    let _agent = scene.start();
    assert_eq!(answering(&scene, &client, 2), names(["old", "new"]));
    drop(pods);
}

#[test]
fn unready_pods_are_called_where_the_service_says_so() {
    let scene = Scene::new();
    let backend = scene.backend("web-0");
    scene.declare(&backend.pod, false);
    scene.manifests.apply("web.yaml", &[web()]).expect("a manifest");
    let client = scene.client();
    let _agent = scene.start();
    let call = scene.caller(&client, Protocol::Tcp).call(SocketAddr::new(VIP4, PORT));
    assert_eq!(call.expect("a call").errno, REFUSED);
    let service = web().set("spec.publishNotReadyAddresses", true);
    scene.manifests.apply("web.yaml", &[service]).expect("a manifest");
    assert_eq!(answering(&scene, &client, 1), names(["web-0"]));
}

#[test]
fn terminating_endpoints_are_called_only_while_no_other_is_ready() {
    let scene = Scene::new();
    let pods = ["ready", "ending", "ended"].map(|name| scene.backend(name));
    let [ready, ending, ended] = &pods.each_ref().map(|backend: &Backend| backend.pod.ipv4());
    let state = |is_ready: bool, ending_serves: bool| {
        slice("web-1")
            .endpoint(*ready, is_ready)
            .endpoint_with(*ending, false, ending_serves, true)
            .endpoint_with(*ended, false, false, true)
    };
    scene.manifests.apply("web.yaml", &[sliced()]).expect("a manifest");
    scene.manifests.apply("slice.yaml", &[state(true, true)]).expect("a manifest");
    let client = scene.client();
    let _agent = scene.start();
    assert_eq!(answering(&scene, &client, 1), names(["ready"]));
    scene.manifests.apply("slice.yaml", &[state(false, true)]).expect("a manifest");
    let target = SocketAddr::new(VIP4, PORT);
    until("the serving one takes over", || {
        let call = scene.caller(&client, Protocol::Tcp).call(target).expect("a call");
        call.pod() == Some("ending")
    });
    assert_eq!(answering(&scene, &client, 1), names(["ending"]));
    scene.manifests.apply("slice.yaml", &[state(false, false)]).expect("a manifest");
    until("nobody is left", || scene.members(target, Transport::Tcp) == Some(0));
    let call = scene.caller(&client, Protocol::Tcp).call(target).expect("a call");
    assert_eq!(call.errno, REFUSED, "{call:?}");
}

#[test]
fn slices_are_joined_and_duplicates_count_once() {
    let scene = Scene::new();
    let pods = ["a", "b", "c"].map(|name| scene.backend(name));
    let [a, b, c] = pods.each_ref().map(|backend: &Backend| backend.pod.ipv4());
    let slices = [
        slice("web-1").endpoint(a, true).endpoint(b, true).endpoint(b, true),
        slice("web-2").endpoint(b, true).endpoint(c, true),
        // Of another Service, and of another port.
        EndpointSlice::new("other-1", "other", "IPv4").port("http", "TCP", 1).endpoint(a, true),
        EndpointSlice::new("web-3", "web", "IPv4").port("admin", "TCP", 2).endpoint(a, true),
    ];
    scene.manifests.apply("slices.yaml", &slices).expect("manifests");
    scene.manifests.apply("web.yaml", &[sliced()]).expect("a manifest");
    let client = scene.client();
    let _agent = scene.start();
    assert_eq!(answering(&scene, &client, 3), names(["a", "b", "c"]));
    let shown: Vec<Value> =
        scene.get("backends").into_iter().map(|mut r| r["address"].take()).collect();
    assert_eq!(shown, [a, b, c].map(|ip| Value::from(format!("{ip}:{POD_PORT}"))));
    // What one slice drops, the other still has.
    let fewer = [slice("web-1").endpoint(a, true), slice("web-2").endpoint(b, true)];
    scene.manifests.apply("slices.yaml", &fewer).expect("manifests");
    assert_eq!(answering(&scene, &client, 2), names(["a", "b"]));
}

#[test]
fn a_service_with_slices_does_not_look_at_pods() {
    let scene = Scene::new();
    let pods = ["sliced", "labelled"].map(|name| scene.backend(name));
    let service = sliced().selector("app", "web");
    scene.manifests.apply("web.yaml", &[service]).expect("a manifest");
    scene.declare(&pods[1].pod, true);
    let client = scene.client();
    let _agent = scene.start();
    assert_eq!(answering(&scene, &client, 1), names(["labelled"]));
    let slices = [slice("web-1").endpoint(pods[0].pod.ipv4(), true)];
    scene.manifests.apply("slices.yaml", &slices).expect("a manifest");
    let target = SocketAddr::new(VIP4, PORT);
    until("the slice takes over", || {
        let call = scene.caller(&client, Protocol::Tcp).call(target).expect("a call");
        call.pod() == Some("sliced")
    });
    assert_eq!(answering(&scene, &client, 1), names(["sliced"]));
}
