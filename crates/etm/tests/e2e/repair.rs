//! What changed while no agent ran is put right by the next one, and told.

use std::net::SocketAddr;

use etm_abi::{BACKEND_FREE, Backend, Frontend};
use etm_dataplane::View;
use etm_model::{FrontendKey, Listener, Protocol as Transport, Step};
use etm_testkit::Protocol;

use crate::scene::{PORT, Scene, VIP4, VIP6, VIPS, assert_served};

/// What the ready line says of the maps.
fn maps(line: &str) -> &str {
    let (_, rest) = line.split_once("maps: ").expect("maps");
    rest.split_once("; programs").expect("programs").0
}

#[test]
fn a_change_made_while_no_agent_ran_is_taken_in() {
    let scene = Scene::new();
    let mut pods = scene.web(&["web-0"]);
    let client = scene.client();
    scene.start().stop().expect("an end");
    pods.push(scene.backend("web-1"));
    scene.declare(&pods[1].pod, true);
    scene.withdraw("web-0");
    let agent = scene.start();
    let said = "0 adopted, 0 added, 4 changed, 0 removed, 0 repaired";
    assert_eq!(maps(agent.ready_line()), said);
    for ip in VIPS {
        let caller = scene.caller(&client, Protocol::Tcp);
        let call = caller.call(SocketAddr::new(ip, PORT)).expect("a call");
        assert_served(&call, &client);
        assert_eq!(call.pod(), Some("web-1"));
    }
    agent.stop().expect("an end");
    scene.manifests.remove("web.yaml").expect("a manifest");
    let agent = scene.start();
    assert_eq!(maps(agent.ready_line()), "0 adopted, 0 added, 0 changed, 4 removed, 0 repaired");
    assert!(scene.get("services").is_empty());
}

/// Writes steps of our own into the maps of a stopped agent, and gives what the next one says.
fn after(steps: impl FnOnce(&View) -> Vec<Step>) -> String {
    let scene = Scene::new();
    let _pods = scene.web(&["web-0", "web-1"]);
    let client = scene.client();
    scene.start().stop().expect("an end");
    let steps = steps(&View::open(&scene.pin()).expect("maps"));
    scene.write(&steps);

    let agent = scene.start();
    for protocol in [Protocol::Tcp, Protocol::UdpConnected, Protocol::UdpUnconnected] {
        for ip in VIPS {
            let caller = scene.caller(&client, protocol);
            for call in caller.calls(SocketAddr::new(ip, PORT), 20).expect("calls") {
                assert_served(&call, &client);
            }
        }
    }
    assert_eq!(scene.get("services").len(), 4);
    let line = agent.ready_line().to_owned();
    agent.stop().expect("an end");
    // One start mends it all.
    let agent = scene.start();
    let said = "4 adopted, 0 added, 0 changed, 0 removed, 0 repaired";
    assert_eq!(maps(agent.ready_line()), said);
    maps(&line).to_owned()
}

fn tcp(ip: std::net::IpAddr) -> FrontendKey {
    FrontendKey { ip, listener: Listener::Port(PORT, Transport::Tcp) }
}

fn frontend(view: &View, key: FrontendKey) -> Frontend {
    view.contents().expect("contents").frontends[&key]
}

#[test]
fn a_lost_frontend_comes_back() {
    let said = after(|_| vec![Step::RemoveFrontend { key: tcp(VIP4) }]);
    assert_eq!(said, "3 adopted, 1 added, 0 changed, 0 removed, 0 repaired");
}

#[test]
fn a_stray_frontend_goes() {
    let said = after(|view| {
        let frontend = frontend(view, tcp(VIP4));
        let stray = "10.96.9.9".parse().expect("an address");
        vec![Step::SetFrontend { key: tcp(stray), frontend }]
    });
    assert_eq!(said, "4 adopted, 0 added, 0 changed, 1 removed, 0 repaired");
}

#[test]
fn a_frontend_that_leads_nowhere_is_repaired() {
    let said = after(|view| {
        // One begins beyond the array, one is longer than any table may be.
        let beyond = Frontend { table: u32::MAX - 1, ..frontend(view, tcp(VIP4)) };
        let long = Frontend { table: 500_000, members: 60_000, ..frontend(view, tcp(VIP6)) };
        vec![
            Step::SetFrontend { key: tcp(VIP4), frontend: beyond },
            Step::SetFrontend { key: tcp(VIP6), frontend: long },
        ]
    });
    assert_eq!(said, "2 adopted, 0 added, 0 changed, 0 removed, 2 repaired");
}

#[test]
fn a_table_with_a_wrong_backend_is_repaired() {
    let said = after(|view| {
        let first = frontend(view, tcp(VIP4)).table;
        vec![Step::SetSlots { first, backends: vec![77_777, 88_888] }]
    });
    assert_eq!(said, "3 adopted, 0 added, 0 changed, 0 removed, 1 repaired");
}

#[test]
fn a_freed_backend_is_repaired() {
    let said = after(|view| {
        let contents = view.contents().expect("contents");
        let frontend = contents.frontends[&tcp(VIP6)];
        let id = contents.tables[&(frontend.table, frontend.members)][0];
        let backend = Backend { state: BACKEND_FREE, ..contents.backends[&id] };
        vec![Step::SetBackend { id, backend }]
    });
    assert_eq!(said, "3 adopted, 0 added, 0 changed, 0 removed, 1 repaired");
}

#[test]
fn a_wrong_errno_is_put_right() {
    let said = after(|view| {
        let frontend = Frontend { errno: 1, ..frontend(view, tcp(VIP4)) };
        vec![Step::SetFrontend { key: tcp(VIP4), frontend }]
    });
    assert_eq!(said, "3 adopted, 0 added, 1 changed, 0 removed, 0 repaired");
}
