//! The agent's log of refusals is bounded; the refusals are not.

use std::net::SocketAddr;

use etm_abi::Counter;
use etm_testkit::Protocol;

use crate::scene::{PORT, REFUSED, Scene, VIP4, web};
use crate::wait::{until, until_logged};

/// The ring of 256 KiB holds 4,681 events, of which each CPU sends one in a millisecond.
#[test]
fn refusals_go_on_while_the_ring_buffer_is_full() {
    let scene = Scene::new();
    scene.manifests.apply("web.yaml", &[web()]).expect("a manifest");
    let client = scene.client();
    let agent = scene.start();
    let target = SocketAddr::new(VIP4, PORT);
    let caller = scene.caller(&client, Protocol::UdpConnected);
    agent.pause().expect("a pause");
    let mut made = 0;
    until("the ring buffer is full", || {
        let calls = caller.calls(target, 2000).expect("calls");
        made += 2000;
        assert!(calls.iter().all(|call| call.errno == REFUSED), "{:?}", calls[0]);
        scene.counters()[&Counter::EventLost] > 0
    });
    let counters = scene.counters();
    assert_eq!(counters[&Counter::ConnectNoBackend], made);

    // Once the agent reads again, events come through again.
    agent.resume().expect("going on");
    let mut session = caller.session(target).expect("a session");
    until("a refusal is told again", || {
        assert_eq!(session.call().expect("a call").errno, REFUSED);
        agent.stderr().contains(&format!("pid={} ", session.id()))
    });
    until_logged(&agent, &["connect() refused, no usable backend"]);
    let _pod = scene.backend("web-0");
    scene.declare(&_pod.pod, true);
    scene.until_web_has(1);
}
