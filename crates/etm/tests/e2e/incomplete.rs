//! A start while manifests are broken: what the maps hold serves on until all are known.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use etm_model::Protocol as Transport;
use etm_testkit::{Agent, Protocol, objects};

use crate::load::Load;
use crate::restart::all_go_on;
use crate::scene::{Backend, POD_PORT, PORT, Scene, VIP4, VIPS};
use etm_testkit::wait::{until, until_logged};

/// The address of the Service `other`, whose Pods are those of `web`.
const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 96, 0, 11));

const BROKEN: &str = "kind: [\n";

/// What a start says that found everything in the maps, whatever it knows of it.
const ADOPTED: &str = "maps: 5 adopted, 0 added, 0 changed, 0 removed, 0 repaired; \
                       programs: 10 kept, 0 replaced, 0 attached";

/// Where `web` and `other` have been served by an agent that was then killed, with callers of both
/// that must not fail.
struct Killed {
    scene: Scene,
    pods: Vec<Backend>,
    loads: Vec<Load>,
}

fn other(port: u16) -> objects::Service {
    objects::Service::new("other", &[OTHER]).port("http", "TCP", port, POD_PORT)
}

fn slice(pods: &[Backend]) -> objects::EndpointSlice {
    let slice = objects::EndpointSlice::new("other-1", "other", "IPv4");
    let slice = slice.port("http", "TCP", POD_PORT);
    pods.iter().fold(slice, |slice, backend| slice.endpoint(backend.pod.ipv4(), true))
}

fn killed() -> Killed {
    let scene = Scene::new();
    let pods = scene.web(&["web-0", "web-1"]);
    scene.manifests.apply("other.yaml", &[other(PORT)]).expect("a file");
    scene.manifests.apply("slice.yaml", &[slice(&pods)]).expect("a file");
    let client = scene.client();
    let agent = scene.start();
    let load = |protocol, ip| {
        let caller = scene.caller(&client, protocol);
        Load::start(&caller, SocketAddr::new(ip, PORT))
    };
    let loads = vec![
        load(Protocol::Tcp, VIP4),
        load(Protocol::UdpUnconnected, VIP4),
        load(Protocol::Tcp, OTHER),
    ];
    all_go_on(&loads);
    agent.kill().expect("an end");
    Killed { scene, pods, loads }
}

impl Killed {
    fn breaks(&self, files: &[&str]) {
        for file in files {
            self.scene.manifests.write(file, BROKEN).expect("a file");
        }
    }

    fn has(&self, ip: IpAddr, port: u16) -> Option<u32> {
        self.scene.members(SocketAddr::new(ip, port), Transport::Tcp)
    }

    /// Starts an agent that finds these files broken, and leaves all as it was.
    #[track_caller]
    fn start(&self, unknown: &str) -> Agent {
        let agent = self.scene.start();
        assert!(agent.ready_line().starts_with("ready: 5 frontends "), "{}", agent.ready_line());
        assert!(agent.ready_line().ends_with(ADOPTED), "{}", agent.ready_line());
        let said = agent.stderr();
        let parts = ["WARN", "incomplete", unknown];
        let lines = said.lines().filter(|line| parts.iter().all(|part| line.contains(part)));
        assert_eq!(lines.count(), 1, "{said}");
        self.as_it_was();
        agent
    }

    /// Both Services have both Pods.
    #[track_caller]
    fn as_it_was(&self) {
        all_go_on(&self.loads);
        assert_eq!(VIPS.map(|ip| self.has(ip, PORT)), [Some(2), Some(2)]);
        assert_eq!(self.has(OTHER, PORT), Some(2));
    }

    fn end(self) {
        self.loads.into_iter().for_each(Load::assert_no_failure);
    }
}

const COMPARED: [&str; 2] = ["INFO", "complete: all that was not known is read"];

#[test]
fn a_service_whose_file_is_broken_serves_on_and_follows_it_once_mended() {
    let killed = killed();
    let scene = &killed.scene;
    killed.breaks(&["web.yaml"]);
    let agent = killed.start("1 file broken at the start: web.yaml (");
    // Another file is followed meanwhile.
    scene.manifests.apply("slice.yaml", &[slice(&killed.pods[1..])]).expect("a file");
    until("other lost a member", || killed.has(OTHER, PORT) == Some(1));
    scene.until_web_has(2);
    all_go_on(&killed.loads);
    assert!(!agent.stderr().contains(COMPARED[1]), "{}", agent.stderr());
    // On another port, and on that alone: callers of the old one would fail from here on.
    let Killed { scene, pods, loads } = killed;
    loads.into_iter().for_each(Load::assert_no_failure);
    let mended = objects::Service::new("web", &[VIP4])
        .port("http", "TCP", 8888, POD_PORT)
        .selector("app", "web");
    scene.manifests.apply("web.yaml", &[mended]).expect("a file");
    until_logged(&agent, &COMPARED);
    let web = |port| scene.members(SocketAddr::new(VIP4, port), Transport::Tcp);
    until("web is on its new port", || (web(PORT), web(8888)) == (None, Some(2)));
    assert_eq!(scene.get("services").len(), 2);
    drop(pods);
}

#[test]
fn a_service_whose_slice_is_in_a_broken_file_keeps_its_members() {
    let killed = killed();
    killed.breaks(&["slice.yaml"]);
    let agent = killed.start("1 file broken at the start: slice.yaml (");
    killed.scene.withdraw("web-0");
    killed.scene.until_web_has(1);
    assert_eq!(killed.has(OTHER, PORT), Some(2));
    let mended = slice(&killed.pods[1..]);
    killed.scene.manifests.apply("slice.yaml", &[mended]).expect("a file");
    until_logged(&agent, &COMPARED);
    until("other follows its slice", || killed.has(OTHER, PORT) == Some(1));
    all_go_on(&killed.loads);
    killed.end();
}

#[test]
fn a_service_that_is_mended_before_its_slice_does_not_refuse() {
    let killed = killed();
    killed.breaks(&["other.yaml", "slice.yaml"]);
    let agent = killed.start("2 files broken at the start: other.yaml, slice.yaml (");
    killed.scene.manifests.apply("other.yaml", &[other(PORT)]).expect("a file");
    until_logged(&agent, &["INFO", "mended: other.yaml"]);
    killed.as_it_was();
    assert!(!agent.stderr().contains(COMPARED[1]), "{}", agent.stderr());
    killed.scene.manifests.apply("slice.yaml", &[slice(&killed.pods)]).expect("a file");
    until_logged(&agent, &COMPARED);
    killed.as_it_was();
    killed.end();
}

#[test]
fn a_broken_file_that_is_deleted_takes_its_service_with_it() {
    let mut killed = killed();
    killed.breaks(&["other.yaml"]);
    let agent = killed.start("1 file broken at the start: other.yaml (");
    // The last is that of `other`, whose calls end here.
    killed.loads.pop().expect("a load").assert_no_failure();
    killed.scene.manifests.remove("other.yaml").expect("a file");
    until_logged(&agent, &COMPARED);
    until("other is gone", || killed.has(OTHER, PORT).is_none());
    killed.scene.until_web_has(2);
    all_go_on(&killed.loads);
    killed.end();
}

#[test]
fn maps_of_another_size_take_over_what_is_not_known() {
    let killed = killed();
    killed.breaks(&["web.yaml", "slice.yaml"]);
    let agent = killed.scene.agent().arg("--max-backends=1000").start().expect("an agent");
    assert!(agent.ready_line().contains(" 5 adopted, 0 added, "), "{}", agent.ready_line());
    killed.as_it_was();
    let members = |ip| killed.has(ip, PORT);
    killed.scene.manifests.apply("slice.yaml", &[slice(&killed.pods[1..])]).expect("a file");
    until("other follows its slice", || members(OTHER) == Some(1));
    assert_eq!(VIPS.map(members), [Some(2), Some(2)]);
    all_go_on(&killed.loads);
    assert!(!agent.stderr().contains(COMPARED[1]), "{}", agent.stderr());
    killed.end();
}

#[test]
fn a_restart_amid_broken_files_changes_nothing_either() {
    let killed = killed();
    killed.breaks(&["web.yaml", "other.yaml", "slice.yaml"]);
    let said = "3 files broken at the start: other.yaml, slice.yaml, web.yaml (";
    for _ in 0..2 {
        killed.start(said).kill().expect("an end");
    }
    killed.end();
}
