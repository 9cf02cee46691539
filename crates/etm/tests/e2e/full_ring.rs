//! The agent's log of refusals is bounded; the refusals are not.

use std::net::SocketAddr;
use std::thread;

use etm_abi::Counter;
use etm_testkit::Protocol;

use crate::scene::{PORT, REFUSED, Scene, VIP4, web};
use etm_testkit::wait::until;

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
    until("the ring buffer is full", || {
        // Each CPU fills it at the same pace, so one caller for each of a few.
        thread::scope(|scope| {
            let callers = [(); 4].map(|()| scope.spawn(|| caller.calls(target, 2000)));
            for calls in callers {
                let calls = calls.join().expect("a caller").expect("calls");
                assert!(calls.iter().all(|call| call.errno == REFUSED), "{:?}", calls[0]);
            }
        });
        scene.counters()[&Counter::EventLost] > 0
    });

    // Once the agent reads again, events come through again.
    agent.resume().expect("going on");
    let mut session = caller.session(target).expect("a session");
    until("a refusal is told again", || {
        assert_eq!(session.call().expect("a call").errno, REFUSED);
        let told = format!("pid={} ", session.id());
        let log = agent.stderr();
        log.lines()
            .any(|line| line.contains(&told) && line.contains("the Service has no ready endpoint"))
    });
    let backend = scene.backend("web-0");
    scene.declare(&backend.pod, true);
    scene.until_web_has(1);
}
