//! The agent comes and goes; the data path stays.

use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use etm_testkit::{Cgroup, Error, Language, Pod, Protocol};

use crate::load::Load;
use crate::scene::{PORT, Scene, UNHANDLED, VIP4, VIP6, VIPS, assert_served};

/// What a start says that found everything right.
const ADOPTED: &str = "maps: 4 adopted, 0 added, 0 changed, 0 removed, 0 repaired; \
                       programs: 10 kept, 0 replaced, 0 attached";

/// Connections of several kinds in loops, to fail at the first gap.
pub(crate) fn loads(scene: &Scene, client: &Pod) -> Vec<Load> {
    let load = |protocol, language, ip| {
        let caller = scene.caller(client, protocol).language(language);
        Load::start(&caller, SocketAddr::new(ip, PORT))
    };
    vec![
        load(Protocol::Tcp, Language::Std, VIP4),
        load(Protocol::Tcp, Language::Tokio, VIP6),
        load(Protocol::UdpConnected, Language::Python, VIP4),
        load(Protocol::UdpUnconnected, Language::Std, VIP6),
    ]
}

#[track_caller]
pub(crate) fn all_go_on(loads: &[Load]) {
    loads.iter().for_each(Load::goes_on);
}

#[test]
fn no_connection_fails_while_the_agent_stops_dies_and_returns() {
    let scene = Scene::new();
    let _pods = scene.web(&["web-0", "web-1"]);
    let client = scene.client();
    let agent = scene.start();
    let first = agent.ready_line();
    assert!(first.starts_with("ready: 4 frontends and 8 backends in "), "{first}");
    assert!(first.contains("4 added") && first.ends_with("10 attached"), "{first}");
    let loads = loads(&scene, &client);
    all_go_on(&loads);
    let (status, log) = agent.stop().expect("an end");
    assert!(status.success(), "{log}");
    assert!(log.contains("stopping; the data path goes on"), "{log}");
    all_go_on(&loads);
    let agent = scene.start();
    assert!(agent.ready_line().ends_with(ADOPTED), "{}", agent.ready_line());
    all_go_on(&loads);
    agent.kill().expect("an end");
    all_go_on(&loads);
    let agent = scene.start();
    assert!(agent.ready_line().ends_with(ADOPTED), "{}", agent.ready_line());
    all_go_on(&loads);
    drop(agent);
    loads.into_iter().for_each(Load::assert_no_failure);
}

#[test]
fn open_connections_and_sockets_outlive_the_agent() {
    let scene = Scene::new();
    let _pods = scene.web(&["web-0", "web-1"]);
    let client = scene.client();
    let agent = scene.start();
    let mut sessions: Vec<_> = [Protocol::Tcp, Protocol::UdpConnected, Protocol::UdpUnconnected]
        .into_iter()
        .map(|protocol| {
            let caller = scene.caller(&client, protocol).keep_open();
            caller.session(SocketAddr::new(VIP4, PORT)).expect("a session")
        })
        .collect();
    let mut pods = || -> Vec<String> {
        let calls = sessions.iter_mut().map(|session| session.call().expect("a call"));
        let named = calls.map(|call| {
            assert_served(&call, &client);
            call.pod().expect("a Pod").to_owned()
        });
        named.collect()
    };
    let before = pods();
    agent.kill().expect("an end");
    assert_eq!(pods(), before);
    let _agent = scene.start();
    assert_eq!(pods(), before);
}

#[test]
fn a_second_agent_on_the_same_pins_is_refused_and_the_first_goes_on() {
    let scene = Scene::new();
    let _pods = scene.web(&["web-0"]);
    let client = scene.client();
    let mut first = scene.start();
    let loads = loads(&scene, &client);
    let error = scene.agent().start().expect_err("it must be refused");
    assert!(matches!(error, Error::NotReady { .. }), "{error}");
    let said = error.to_string();
    let expected =
        format!("error: another agent already serves {}: stop it", scene.pin().display());
    assert!(said.contains(&expected), "{said}");
    all_go_on(&loads);
    assert!(first.is_running());
    scene.withdraw("web-0");
    scene.until_web_has(0);
    drop(loads);
}

#[test]
fn an_agent_for_another_cgroup_moves_over() {
    let scene = Scene::new();
    let _pods = scene.web(&["web-0"]);
    let client = scene.client();
    scene.start().stop().expect("an end");
    let other = Cgroup::new().expect("a cgroup");
    let agent = scene.agent_without_cgroup().cgroup(&other).start().expect("an agent");
    let line = agent.ready_line();
    assert!(line.ends_with("programs: 0 kept, 0 replaced, 10 attached"), "{line}");
    for ip in VIPS {
        let target = SocketAddr::new(ip, PORT);
        let caller = |cgroup| {
            let place = client.place().within(cgroup);
            etm_testkit::Caller::new(&place, Protocol::Tcp).call(target).expect("a call")
        };
        assert_served(&caller(&other), &client);
        assert_eq!(caller(&scene.cgroup).errno, UNHANDLED);
    }
}

#[test]
fn the_service_manager_is_told() {
    let scene = Scene::new();
    let _pods = scene.web(&["web-0"]);
    let path = scene.manifests.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    socket.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    let agent = scene.agent().env("NOTIFY_SOCKET", path.as_os_str()).start().expect("an agent");
    let message = || {
        let mut buffer = [0; 4096];
        let length = socket.recv(&mut buffer).expect("a message");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    let ready = message();
    assert!(ready.lines().any(|line| line == "READY=1"), "{ready}");
    assert!(ready.contains(&format!("STATUS={}", agent.ready_line())), "{ready}");
    agent.stop().expect("an end");
    let stopping = message();
    assert!(stopping.lines().any(|line| line == "STOPPING=1"), "{stopping}");
}
