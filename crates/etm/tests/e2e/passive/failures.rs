//! What takes a Pod out of service, and what brings it back.

use std::io::Read as _;
use std::net::TcpListener;
use std::thread;

use etm_abi::{BACKEND_AVAILABLE, BACKEND_EJECTED};
use etm_testkit::wait::{until, until_logged};
use etm_testkit::{Call, Pod};
use serde_json::json;

use super::{LIMIT, callers, calls, record, refused, set_policy};
use crate::scene::{POD_PORT, PORT, Scene, VIP4, VIP6};

/// `ECONNRESET`.
const RESET: Option<i32> = Some(104);

#[test]
fn one_that_refuses_is_out_after_five() {
    for vip in [VIP4, VIP6] {
        let scene = Scene::new();
        let mut backends = scene.web(&["a", "b", "c", "d"]);
        let agent = scene.start();
        // Nobody listens any more; the Pod is still said to be ready.
        let pod = backends.pop().expect("a Pod").refuse();
        let refused = refused(&scene, &callers(&scene), (vip, PORT).into(), 120);
        // One more where the first five are all of one caller but for the last.
        assert!((LIMIT..=LIMIT + 1).contains(&refused), "{refused}");
        until_logged(&agent, &["ejected", "default/d"]);
        if vip == VIP4 {
            let record = record(&scene, &pod);
            assert_eq!((record.state, record.times), (BACKEND_EJECTED, 1));
        }
    }
}

#[test]
fn one_that_does_not_answer_is_out_before_the_kernel_gives_up() {
    let scene = Scene::new();
    let backends = scene.web(&["a", "b"]);
    let _agent = scene.start();
    let pod = &backends[1].pod;
    drop_all(pod);
    // Each waits for two seconds, and the SYN is repeated after one.
    let calls = calls(&scene, &callers(&scene), (VIP4, PORT).into(), 60);
    let failed = calls.iter().filter(|call| call.error.is_some()).count();
    assert!((LIMIT..=LIMIT + 2).contains(&failed), "{failed}");
    assert_eq!(record(&scene, pod).state, BACKEND_EJECTED);
}

/// Leaves out every packet to the Pod's server.
pub(super) fn drop_all(pod: &Pod) {
    let rules = format!(
        "add table inet deaf; add chain inet deaf in {{ type filter hook input priority 0; }}; \
         add rule inet deaf in tcp dport {POD_PORT} drop; \
         add rule inet deaf in udp dport {POD_PORT} drop"
    );
    let status = pod.command("nft").arg(rules).status().expect("nft runs");
    assert!(status.success());
}

#[test]
fn one_that_resets_what_it_accepted_is_out() {
    let scene = Scene::new();
    let mut backends = scene.web(&["a", "b", "c", "d"]);
    let pod = backends.pop().expect("a Pod").refuse();
    reset_all(&pod);
    let _agent = scene.start();
    let calls = calls(&scene, &callers(&scene), (VIP4, PORT).into(), 120);
    let reset = calls.iter().filter(|call: &&Call| call.errno == RESET).count();
    // The first one is seen when its socket is closed, and has the next ones looked at closely.
    assert!((LIMIT + 1..=LIMIT + 3).contains(&reset), "{reset}");
    assert_eq!(record(&scene, &pod).state, BACKEND_EJECTED);
}

/// Accepts every connection of the Pod and resets it, until one comes in without a byte.
fn reset_all(pod: &Pod) -> thread::JoinHandle<()> {
    let place = pod.place();
    let listener =
        place.in_network(|| TcpListener::bind(("0.0.0.0", POD_PORT))).expect("a listener");
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            // Closed with bytes that nobody has read, which the kernel answers with a reset.
            if (&socket).read_exact(&mut [0]).is_err() {
                return;
            }
        }
    })
}

#[test]
fn one_that_resets_no_more_is_back_also_where_callers_close_first() {
    let scene = Scene::new();
    let mut backends = scene.web(&["a", "b"]);
    set_policy(
        &scene,
        &json!({"health": {
            "ejectionTime": "1s",
            "probation": {"interval": "100ms", "successes": 2},
        }}),
    );
    let pod = backends.pop().expect("a Pod").refuse();
    let resetting = reset_all(&pod);
    let _agent = scene.start();
    let (callers, target) = (callers(&scene), (VIP4, PORT).into());
    until("it is out", || {
        refused(&scene, &callers, target, 2);
        record(&scene, &pod).state == BACKEND_EJECTED
    });
    pod.place()
        .in_network(|| std::net::TcpStream::connect((pod.ipv4(), POD_PORT)).map(drop))
        .expect("a last connection");
    resetting.join().expect("it ends");
    let _server = pod.serve(&[POD_PORT], &[]).expect("a server");
    until("it is back", || {
        refused(&scene, &callers, target, 1);
        record(&scene, &pod).state == BACKEND_AVAILABLE
    });
}

#[test]
fn one_that_works_again_is_back_after_its_probation() {
    let scene = Scene::new();
    let mut backends = scene.web(&["a", "b"]);
    set_policy(
        &scene,
        &json!({"health": {
            "ejectionTime": "1s",
            "probation": {"interval": "100ms", "successes": 2},
        }}),
    );
    let agent = scene.start();
    let pod = backends.pop().expect("a Pod").refuse();
    let (callers, target) = (callers(&scene), (VIP4, PORT).into());
    assert!(refused(&scene, &callers, target, 60) >= LIMIT);
    // Its time is over, it is tried, and fails: out again for twice as long.
    until("it is tried", || {
        refused(&scene, &callers, target, 1);
        record(&scene, &pod).times >= 2
    });
    until_logged(&agent, &["ejected again", "default/b"]);
    let _server = pod.serve(&[POD_PORT], &[]).expect("a server");
    until("it is back", || {
        refused(&scene, &callers, target, 1);
        record(&scene, &pod).state == BACKEND_AVAILABLE
    });
    until_logged(&agent, &["back", "default/b"]);
    assert_eq!(refused(&scene, &callers, target, 40), 0);
}
