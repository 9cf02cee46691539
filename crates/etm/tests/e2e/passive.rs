//! Pods whose connections fail are left out, by what the kernel sees.

use std::net::SocketAddr;

use etm_abi::{BACKEND_AVAILABLE, BACKEND_EJECTED, Backend as Record};
use etm_dataplane::View;
use etm_model::from_abi;
use etm_testkit::{Pod, Protocol};

use crate::scene::{PORT, REFUSED, Scene, VIP4, VIP6};

/// Failures in a row that eject where nothing else is said.
const LIMIT: usize = 5;

/// The kernel's record of a Pod over TCP and IPv4.
fn record(scene: &Scene, pod: &Pod) -> Record {
    let contents = View::open(&scene.pin()).expect("maps").contents().expect("contents");
    let is_its = |record: &&Record| {
        record.protocol == etm_abi::PROTOCOL_TCP && from_abi(&record.address) == pod.ipv4()
    };
    *contents.backends.values().find(is_its).expect("a record")
}

/// Calls from each Pod in turn: how many were refused.
fn refused(scene: &Scene, callers: &[Pod], target: SocketAddr, calls: usize) -> usize {
    let call = |at: usize| {
        let caller = scene.caller(&callers[at % callers.len()], Protocol::Tcp);
        caller.call(target).expect("a call").errno
    };
    (0..calls).filter(|at| call(*at) == REFUSED).count()
}

fn callers(scene: &Scene) -> Vec<Pod> {
    ["one", "two"].map(|name| scene.node.pod(name).expect("a Pod")).into()
}

#[test]
fn one_that_refuses_is_out_after_five() {
    for vip in [VIP4, VIP6] {
        let scene = Scene::new();
        let mut backends = scene.web(&["a", "b", "c", "d"]);
        let _agent = scene.start();
        // Nobody listens any more; the Pod is still said to be ready.
        let pod = backends.pop().expect("a Pod").refuse();
        let refused = refused(&scene, &callers(&scene), (vip, PORT).into(), 120);
        assert!((LIMIT..=LIMIT + 1).contains(&refused), "{refused}");
        if vip == VIP4 {
            let record = record(&scene, &pod);
            assert_eq!((record.state, record.times), (BACKEND_EJECTED, 1));
        }
    }
}

#[test]
fn a_caller_that_fails_alone_takes_it_from_nobody_else() {
    let scene = Scene::new();
    let mut backends = scene.web(&["a", "b", "c", "d"]);
    let _agent = scene.start();
    let pod = backends.pop().expect("a Pod").refuse();
    let [one, two] = ["one", "two"].map(|name| [scene.node.pod(name).expect("a Pod")]);
    let target = (VIP4, PORT).into();
    assert_eq!(refused(&scene, &one, target, 100), LIMIT);
    let record_then = record(&scene, &pod);
    assert_eq!((record_then.state, record_then.shunned), (BACKEND_AVAILABLE, 1));
    // The other one finds out for itself.
    assert_eq!(refused(&scene, &two, target, 100), LIMIT);
}
