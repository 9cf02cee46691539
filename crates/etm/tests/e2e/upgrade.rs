//! Another build, and maps of other sizes, take over without a gap.

use std::fs;
use std::net::SocketAddr;

use etm_testkit::{AgentBuilder, Protocol, objects};

use crate::load::Load;
use crate::restart::{all_go_on, loads};
use crate::scene::{PORT, Scene, VIP4, VIPS, assert_served};
use etm_testkit::wait::until;

/// Sockets that stay open show the Service as their peer, whatever becomes of programs and maps.
fn upgrades(next: impl Fn(&Scene) -> AgentBuilder, said: &str) -> Scene {
    let scene = Scene::new();
    let _pods = scene.web(&["web-0", "web-1"]);
    let client = scene.client();
    let agent = scene.start();
    let loads = loads(&scene, &client);
    let mut sessions: Vec<_> = [Protocol::Tcp, Protocol::UdpConnected]
        .into_iter()
        .flat_map(|protocol| VIPS.map(|ip| (protocol, ip)))
        .map(|(protocol, ip)| {
            let caller = scene.caller(&client, protocol).keep_open();
            caller.session(SocketAddr::new(ip, PORT)).expect("a session")
        })
        .chain([scene
            .caller(&client, Protocol::Tcp)
            .mptcp()
            .keep_open()
            .session(SocketAddr::new(VIP4, PORT))
            .expect("a session")])
        .collect();
    let mut shown = || {
        for session in &mut sessions {
            assert_served(&session.call().expect("a call"), &client);
        }
    };
    shown();
    all_go_on(&loads);
    agent.stop().expect("an end");
    let agent = next(&scene).start().expect("an agent");
    assert!(agent.ready_line().ends_with(said), "{}", agent.ready_line());
    all_go_on(&loads);
    shown();
    // And back again.
    agent.kill().expect("an end");
    let agent = scene.start();
    all_go_on(&loads);
    shown();
    drop(agent);
    loads.into_iter().for_each(Load::assert_no_failure);
    scene
}

fn sets(scene: &Scene) -> Vec<String> {
    let entries = fs::read_dir(scene.pin()).expect("pins").map(|entry| entry.expect("an entry"));
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with("maps-")).collect()
}

#[test]
fn another_build_replaces_the_programs_at_once() {
    // Another setting makes other programs, as another build does.
    let scene = upgrades(
        |scene| scene.agent().arg("--unknown-port").arg("refuse"),
        "maps: 4 adopted, 2 added, 0 changed, 0 removed, 0 repaired; \
         programs: 0 kept, 10 replaced, 0 attached",
    );
    assert_eq!(sets(&scene), ["maps-1"]);
}

#[test]
fn maps_of_another_size_are_filled_first_and_then_moved_over_to() {
    let scene = upgrades(
        |scene| {
            let agent = scene.agent().arg("--max-backends=1000").arg("--max-slots=4000");
            agent.arg("--max-frontends=100")
        },
        "maps: 0 adopted, 4 added, 0 changed, 0 removed, 0 repaired; \
         programs: 0 kept, 10 replaced, 0 attached",
    );
    assert_eq!(sets(&scene), ["maps-3"], "the old ones are gone");
}

#[test]
fn maps_that_were_never_finished_are_passed_over() {
    let scene = Scene::new();
    let _pods = scene.web(&["web-0"]);
    let client = scene.client();
    let agent = scene.start();
    let caller = scene.caller(&client, Protocol::Tcp).keep_open();
    let mut session = caller.session(SocketAddr::new(VIP4, PORT)).expect("a session");
    assert_served(&session.call().expect("a call"), &client);
    agent.stop().expect("an end");
    // What an agent leaves that is killed while it makes maps of another size.
    fs::create_dir(scene.pin().join("maps-2")).expect("a folder");
    assert_eq!(scene.get("services").len(), 4);
    let _agent = scene.start();
    assert_eq!(sets(&scene), ["maps-3"]);
    assert_served(&session.call().expect("a call"), &client);
}

#[test]
fn each_family_may_be_full_of_services_of_its_own() {
    let scene = Scene::new();
    let services = |generation: &str| -> Vec<objects::Service> {
        let addresses = ["10.96.0.1", "10.96.0.2", "fd00::1", "fd00::2"];
        let names = (0..).map(|i| format!("{generation}-{i}"));
        let service = |(ip, name): (&str, String)| {
            let ip = ip.parse().expect("an address");
            objects::Service::new(&name, &[ip]).port("http", "TCP", PORT, PORT)
        };
        addresses.into_iter().zip(names).map(service).collect()
    };
    scene.manifests.apply("services.yaml", &services("old")).expect("a file");
    let _agent = scene.agent().arg("--max-frontends=2").start().expect("an agent");
    assert_eq!(scene.get("services").len(), 4);
    // The old names are still there for a second.
    scene.manifests.apply("services.yaml", &services("new")).expect("a file");
    let new = |row: &serde_json::Value| row["service"].to_string().contains("/new-");
    until("all are new", || scene.get("services").iter().filter(|row| new(row)).count() == 4);
}
