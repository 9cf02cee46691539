//! Sockets whose cookies collide: each shows its Service, and none leaves anything behind.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::process::{Child, ChildStdout, Command, Stdio};

use etm_abi::{Counter, FLOW_SLOTS};
use etm_testkit::{Pod, binary, objects};
use serde_json::Value;

use crate::scene::{POD_PORT, PORT, Scene, VIP4};

/// The testkit's program of that name, in a Pod that the agent covers.
struct Sockets {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Sockets {
    fn start(scene: &Scene, client: &Pod, words: &[&str]) -> Self {
        let program = binary("testkit-flows").expect("the testkit's programs");
        let mut command: Command = scene.inside(client).command(program);
        command.arg(format!("--slots={FLOW_SLOTS}")).args(words);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("testkit-flows starts");
        let lines = BufReader::new(child.stdout.take().expect("its stdout"));
        Self { child, lines }
    }

    fn report(&mut self) -> Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("a line");
        serde_json::from_str(&line).expect("a report; what went wrong is said on stderr")
    }

    fn go_on(&mut self) {
        self.child.stdin.as_mut().expect("its stdin").write_all(b"\n").expect("a line");
    }
}

impl Drop for Sockets {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
fn assert_nothing_left(scene: &Scene) {
    let flows = scene.flows();
    assert_eq!((flows.placed, flows.moved, flows.moved_by_places), (vec![], vec![], 0));
    assert_eq!(scene.counters()[&Counter::FlowLost], 0);
}

#[test]
fn a_connection_whose_place_younger_ones_took_still_shows_its_service() {
    let scene = Scene::new();
    let _pods = scene.web(&["web-0"]);
    let client = scene.client();
    let _agent = scene.start();
    let target = SocketAddr::new(VIP4, PORT).to_string();
    let rivals = 3;
    let words = ["crowd", &target, &format!("--rivals={rivals}")];
    let mut sockets = Sockets::start(&scene, &client, &words);

    let report = sockets.report();
    let shown = report["peers"].as_array().expect("peers");
    assert_eq!(shown.len(), rivals + 1, "{report}");
    assert!(shown.iter().all(|peer| *peer == target), "{report}");
    let cookies = report["cookies"].as_array().expect("cookies").iter();
    let mut cookies: Vec<u64> = cookies.map(|cookie| cookie.as_u64().expect("a cookie")).collect();
    let flows = scene.flows();
    let youngest = cookies.pop().expect("the youngest");
    assert_eq!(flows.placed.iter().map(|flow| flow.cookie).collect::<Vec<_>>(), [youngest]);
    let mut moved: Vec<_> = flows.moved.iter().map(|flow| flow.cookie).collect();
    moved.sort_unstable();
    cookies.sort_unstable();
    assert_eq!(moved, cookies);
    assert_eq!(flows.moved_by_places, rivals as u64);
    assert_eq!(scene.counters()[&Counter::FlowMoved], rivals as u64);

    sockets.go_on();
    sockets.report();
    assert_nothing_left(&scene);
}

#[test]
fn sockets_on_all_cpus_show_their_own_service_and_leave_nothing() {
    let scene = Scene::new();
    let _pods = scene.web(&["web-0"]);
    let other: IpAddr = "10.96.0.11".parse().expect("an address");
    let second = objects::Service::new("second", &[other])
        .port("echo", "UDP", PORT, POD_PORT)
        .selector("app", "web");
    scene.manifests.apply("second.yaml", &[second]).expect("a manifest");
    let client = scene.client();
    let _agent = scene.start();
    let targets = [VIP4, other].map(|ip| SocketAddr::new(ip, PORT).to_string());
    // Enough for each place to be taken several times.
    let count = format!("--sockets={}", FLOW_SLOTS * 4);
    let mut sockets = Sockets::start(&scene, &client, &["race", &targets[0], &targets[1], &count]);

    let report = sockets.report();
    assert_eq!(report["wrong"], 0, "{report}");
    assert!(report["collisions"].as_u64() > Some(1000), "{report}");
    assert!(scene.counters()[&Counter::FlowMoved] > 0, "{report}");
    assert_nothing_left(&scene);
}
