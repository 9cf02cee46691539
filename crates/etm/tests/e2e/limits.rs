//! More than the maps hold: what does not fit is told, and everything else works.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use etm_model::Protocol as Transport;
use etm_testkit::{Agent, Pod, Protocol, objects};
use objects::EndpointSlice;

use crate::scene::{Backend, POD_PORT, PORT, Scene, UNHANDLED, VIP4, VIP6, assert_served, web};
use etm_testkit::wait::{until, until_logged};

fn address(last: u8) -> IpAddr {
    Ipv4Addr::new(10, 96, 7, last).into()
}

/// A Service of one TCP port at an address of its own.
fn numbered(number: u8) -> objects::Service {
    objects::Service::new(&format!("s{number}"), &[address(number)])
        .port("http", "TCP", PORT, POD_PORT)
}

fn slice_of(number: u8) -> EndpointSlice {
    EndpointSlice::new(&format!("s{number}-1"), &format!("s{number}"), "IPv4")
        .port("http", "TCP", POD_PORT)
}

fn members(scene: &Scene, number: u8) -> Option<u32> {
    scene.members(SocketAddr::new(address(number), PORT), Transport::Tcp)
}

#[track_caller]
fn is_served(scene: &Scene, client: &Pod, ip: IpAddr) {
    let caller = scene.caller(client, Protocol::Tcp);
    assert_served(&caller.call(SocketAddr::new(ip, PORT)).expect("a call"), client);
}

fn started(arguments: &[&str], count: u8) -> (Scene, Backend, Pod, Agent) {
    let scene = Scene::new();
    let backend = scene.backend("web-0");
    for number in 0..count {
        let pod = backend.pod.ipv4();
        scene.manifests.apply(&format!("s{number}.yaml"), &[numbered(number)]).expect("manifest");
        let slices = [slice_of(number).endpoint(pod, true)];
        scene.manifests.apply(&format!("s{number}-1.yaml"), &slices).expect("a manifest");
    }
    let client = scene.client();
    let agent = arguments.iter().fold(scene.agent(), |agent, word| agent.arg(*word));
    let agent = agent.start().expect("an agent");
    (scene, backend, client, agent)
}

#[test]
fn a_service_of_seventy_thousand_endpoints_stays_as_it_was() {
    let (scene, backend, client, agent) = started(&[], 2);
    let pod = backend.pod.ipv4();
    is_served(&scene, &client, address(0));
    // Slices of a thousand, as the cluster's own controller would write them at its largest.
    let slices: Vec<serde_json::Value> = (0..70_u32)
        .map(|thousand| {
            let endpoints = (0..1000).map(|number| {
                let ip = Ipv4Addr::from(0x0b00_0000 + thousand * 1000 + number);
                serde_json::json!({"addresses": [ip.to_string()]})
            });
            slice_of(0)
                .set("metadata.name", format!("s0-many-{thousand}"))
                .set("endpoints", endpoints.collect::<Vec<_>>())
                .into()
        })
        .collect();
    scene.manifests.apply("many.yaml", &slices).expect("manifests");
    let reason = "port 80 (http, TCP) has 70001 usable endpoints, more than the 65535";
    let told = ["WARN", "Service default/s0: spec.ports[0]: ", reason, "spread the Pods"];
    until_logged(&agent, &told);
    assert_eq!(members(&scene, 0), Some(1), "the earlier state stays");
    is_served(&scene, &client, address(0));
    // Others go on, and change.
    let another = scene.backend("web-1");
    let slices = [slice_of(1).endpoint(pod, true).endpoint(another.pod.ipv4(), true)];
    scene.manifests.apply("s1-1.yaml", &slices).expect("a manifest");
    until("the other Service changes", || members(&scene, 1) == Some(2));
    is_served(&scene, &client, address(1));
    // What fits again is taken in.
    scene.manifests.remove("many.yaml").expect("a manifest");
    until_logged(&agent, &["INFO", "mended: Service default/s0: ", "70001 usable endpoints"]);
    assert_eq!(members(&scene, 0), Some(1));
}

#[test]
fn services_beyond_the_most_frontends_wait_for_room() {
    let (scene, _backend, client, agent) = started(&["--max-frontends=3"], 5);
    let full = "all 3 IPv4 frontends are in use (raise --max-frontends; ";
    until_logged(&agent, &["WARN", "Service default/s3: http's TCP frontends do not fit", full]);
    until_logged(&agent, &["WARN", "Service default/s4: http's TCP frontends do not fit", full]);
    for number in 0..3 {
        is_served(&scene, &client, address(number));
    }
    let call = scene.caller(&client, Protocol::Tcp).call(SocketAddr::new(address(4), PORT));
    assert_eq!(call.expect("a call").errno, UNHANDLED, "what does not fit passes");
    // IPv6 has maps of its own.
    scene.manifests.apply("web.yaml", &[web()]).expect("a manifest");
    let v6 = SocketAddr::new(VIP6, PORT);
    until("IPv6 is there", || scene.members(v6, Transport::Tcp) == Some(0));
    assert_eq!(scene.members(SocketAddr::new(VIP4, PORT), Transport::Tcp), None);

    scene.manifests.remove("s0.yaml").expect("a manifest");
    scene.manifests.remove("s1.yaml").expect("a manifest");
    scene.manifests.remove("web.yaml").expect("a manifest");
    until_logged(&agent, &["INFO", "mended: Service default/s3"]);
    until_logged(&agent, &["INFO", "mended: Service default/s4"]);
    for number in 2..5 {
        until("there is room", || members(&scene, number) == Some(1));
        is_served(&scene, &client, address(number));
    }
}

#[test]
fn endpoints_beyond_the_most_backends_wait_for_room() {
    // Index 0 is given to nobody or to somebody: four hold at least three.
    let (scene, backend, client, agent) = started(&["--max-backends=4"], 2);
    let strangers = (0..8).fold(slice_of(0).endpoint(backend.pod.ipv4(), true), |slice, number| {
        slice.endpoint(Ipv4Addr::new(10, 245, 0, number), true)
    });
    scene.manifests.apply("s0-1.yaml", &[strangers]).expect("a manifest");
    let full = "too few of the 4 backends are free (raise --max-backends; ";
    until_logged(&agent, &["WARN", "Service default/s0: http's TCP frontends do not fit", full]);
    assert_eq!(members(&scene, 0), Some(1), "the earlier state stays");
    is_served(&scene, &client, address(0));
    is_served(&scene, &client, address(1));
    let slices = [slice_of(0).endpoint(backend.pod.ipv4(), true)];
    scene.manifests.apply("s0-1.yaml", &slices).expect("a manifest");
    until_logged(&agent, &["INFO", "mended: Service default/s0", "backends"]);
    is_served(&scene, &client, address(0));
}

#[test]
fn members_beyond_the_most_slots_wait_for_room() {
    let (scene, backend, client, agent) = started(&["--max-slots=8"], 2);
    let strangers = (0..12)
        .fold(slice_of(0).endpoint(backend.pod.ipv4(), true), |slice, number| {
            slice.endpoint(Ipv4Addr::new(10, 245, 0, number), true)
        });
    scene.manifests.apply("s0-1.yaml", &[strangers]).expect("a manifest");
    let full = "of the 8 slots no 13 in a row are free (raise --max-slots; ";
    until_logged(&agent, &["WARN", "Service default/s0: http's TCP frontends do not fit", full]);
    is_served(&scene, &client, address(0));
    is_served(&scene, &client, address(1));
}
