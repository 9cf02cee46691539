//! Connections to the old colour of a blue-green release: ended where that is asked for, once the
//! release is completed, and no others.

use std::net::{IpAddr, SocketAddr};

use etm_dataplane::View;
use etm_testkit::wait::{until, until_logged};
use etm_testkit::{Agent, Call, Pod, Protocol, Session, objects};
use serde_json::json;

use crate::scene::{Backend, POD_PORT, PORT, Scene, VIP4, VIPS, web, web_pod};

/// `ENOTCONN` and `ECONNABORTED`: what a call says of a socket that was ended.
const ENDED: [Option<i32>; 2] = [Some(107), Some(103)];

const TOLD: &str = "ended sockets to a Pod of the version before a release";

/// Another Service over the Pods of both colours, and one over those of blue, each called as such.
const OTHER: &str = "10.96.0.11";
const BLUE: &str = "10.96.0.12";

struct Colours {
    scene: Scene,
    _pods: Vec<Backend>,
    client: Pod,
    agent: Option<Agent>,
}

impl Colours {
    /// `blue` and `green` behind `web`, and a release that has led everyone to green.
    fn new() -> Self {
        let scene = Scene::new();
        let other: IpAddr = OTHER.parse().expect("an address");
        let blue: IpAddr = BLUE.parse().expect("an address");
        let service = |name: &str, ip: IpAddr| {
            objects::Service::new(name, &[ip])
                .port("http", "TCP", PORT, POD_PORT)
                .port("echo", "UDP", PORT, POD_PORT)
                .selector("app", "web")
        };
        let all =
            [web(), service("other", other), service("blue", blue).selector("colour", "blue")];
        scene.manifests.apply("services.yaml", &all).expect("manifests");
        let pods: Vec<_> = ["blue", "green"].map(|name| scene.backend(name)).into();
        for pod in &pods {
            let object = web_pod(&pod.pod).label("colour", pod.pod.name());
            let file = format!("pod-{}.yaml", pod.pod.name());
            scene.manifests.apply(&file, &[object]).expect("a manifest");
        }
        let client = scene.client();
        let colours = Self { scene, _pods: pods, client, agent: None };
        colours.release("Stable", true);
        colours
    }

    fn start(&mut self) -> &Agent {
        self.agent.insert(self.scene.start())
    }

    /// Writes down where the release leads callers.
    fn release(&self, traffic: &str, ends: bool) {
        let colour = |colour: &str| json!({"labels": {"colour": colour}});
        let services =
            json!([{"service": "web", "stable": colour("blue"), "new": colour("green")}]);
        let release = json!({
            "apiVersion": "etm.dev/v1alpha1",
            "kind": "Release",
            "metadata": {"name": "green", "namespace": "default"},
            "spec": {
                "services": services,
                "strategy": {"blueGreen": {"endOldConnections": ends}},
            },
            "status": {"traffic": traffic, "step": 1},
        });
        self.scene.manifests.apply("release.yaml", &[release]).expect("a manifest");
    }

    /// Waits until new connections reach a colour.
    fn until_at(&self, colour: &str) {
        for ip in VIPS {
            let caller = self.scene.caller(&self.client, Protocol::Tcp);
            until(&format!("{ip} leads to {colour}"), || {
                let calls = caller.calls(SocketAddr::new(ip, PORT), 5).expect("calls");
                calls.iter().all(|call| call.pod() == Some(colour))
            });
        }
    }

    /// A socket that was connected to a colour and was answered by it.
    fn connected(&self, to: SocketAddr, protocol: Protocol, colour: &str) -> Session {
        let caller = self.scene.caller(&self.client, protocol).keep_open();
        for _ in 0..50 {
            let mut session = caller.session(to).expect("a session");
            if session.call().expect("a call").pod() == Some(colour) {
                return session;
            }
        }
        panic!("{to} never leads to {colour}");
    }

    /// One of each protocol and family of the Service.
    fn led(&self, colour: &str) -> Vec<Session> {
        let kinds = [Protocol::Tcp, Protocol::UdpConnected];
        let targets = VIPS.map(|ip| SocketAddr::new(ip, PORT));
        let all = kinds.into_iter().flat_map(|kind| targets.map(|target| (kind, target)));
        all.map(|(kind, target)| self.connected(target, kind, colour)).collect()
    }

    /// How many connections to the Pods count as reset.
    fn resets(&self) -> u32 {
        let view = View::open(&self.scene.pin()).expect("maps");
        let backends = view.contents().expect("contents").backends;
        backends.keys().map(|id| view.outcomes(*id).expect("outcomes").reset).sum()
    }
}

#[track_caller]
fn assert_ended(call: &Call) {
    assert!(ENDED.contains(&call.errno), "{call:?}");
}

/// The socket is the same, and its Pod answers.
#[track_caller]
fn assert_kept(session: &mut Session, colour: &str) {
    let call = session.call().expect("a call");
    assert_eq!((call.pod(), call.connect_us), (Some(colour), None), "{call:?}");
}

#[test]
fn connections_to_the_old_colour_end_when_the_release_is_completed_and_no_others() {
    let mut colours = Colours::new();
    colours.start();
    colours.until_at("blue");
    let mut old = colours.led("blue");
    let blue = &colours._pods[0].pod;
    let [direct, _] = blue.at(POD_PORT);
    let mut others: Vec<(Session, &str)> = Vec::new();
    for protocol in [Protocol::Tcp, Protocol::UdpConnected] {
        // By another Service, by that of the old version, and by no Service at all.
        for target in [OTHER, BLUE].map(|ip| SocketAddr::new(ip.parse().expect("an ip"), PORT)) {
            others.push((colours.connected(target, protocol, "blue"), "blue"));
        }
        others.push((colours.connected(direct, protocol, "blue"), "blue"));
    }
    let before = colours.resets();
    colours.release("Switched", true);
    colours.until_at("green");
    others.extend(colours.led("green").into_iter().map(|session| (session, "green")));
    for session in &mut old {
        assert_kept(session, "blue");
    }
    colours.release("New", true);
    let agent = colours.agent.as_ref().expect("an agent");
    for (ip, protocol) in VIPS.into_iter().flat_map(|ip| [(ip, "TCP"), (ip, "UDP")]) {
        until_logged(agent, &[TOLD, &format!("service={ip}"), protocol]);
    }
    for session in &mut old {
        assert_ended(&session.call().expect("a call"));
        let again = session.call().expect("a call");
        assert_eq!(again.pod(), Some("green"), "its owner connects anew: {again:?}");
    }
    // Longer than both passes take.
    std::thread::sleep(std::time::Duration::from_millis(300));
    for (session, colour) in &mut others {
        assert_kept(session, colour);
    }
    assert_eq!(colours.resets(), before, "that it was ended says nothing of the Pod");
}

#[test]
fn they_stay_where_it_is_not_asked_for_and_where_the_release_is_undone() {
    let mut colours = Colours::new();
    colours.release("Stable", false);
    colours.start();
    colours.until_at("blue");
    let mut old = colours.led("blue");
    for (traffic, colour) in [("Switched", "green"), ("New", "green"), ("Returned", "blue")] {
        colours.release(traffic, false);
        colours.until_at(colour);
        std::thread::sleep(std::time::Duration::from_millis(300));
        for session in &mut old {
            assert_kept(session, "blue");
        }
    }
    let agent = colours.agent.as_ref().expect("an agent");
    assert!(!agent.stderr().contains("ended sockets"), "{}", agent.stderr());
}

#[test]
fn what_was_to_end_while_no_agent_ran_ends_when_one_starts() {
    let mut colours = Colours::new();
    colours.start();
    colours.until_at("blue");
    let mut session = colours.connected(SocketAddr::new(VIP4, PORT), Protocol::Tcp, "blue");
    colours.agent.take().expect("an agent").stop().expect("it stops");
    colours.release("New", true);
    assert_kept(&mut session, "blue");
    let agent = colours.start();
    until_logged(agent, &[TOLD]);
    assert_ended(&session.call().expect("a call"));
}
