//! MPTCP: what becomes of the first subflow is what becomes of the connection.

use std::net::IpAddr;
use std::time::Duration;

use etm_abi::{BACKEND_AVAILABLE, BACKEND_EJECTED, PROTOCOL_TCP};
use etm_testkit::{Call, Pod, Protocol};

use super::{LIMIT, callers, failures::drop_all, record, seen};
use crate::scene::{PORT, REFUSED, Scene, VIP4, VIPS};

fn calls(scene: &Scene, callers: &[Pod], vip: IpAddr, count: usize) -> Vec<Call> {
    let call = |at: usize| {
        let caller = scene.caller(&callers[at % callers.len()], Protocol::Tcp).mptcp();
        caller.call((vip, PORT).into()).expect("a call")
    };
    (0..count).map(call).collect()
}

#[test]
fn one_that_refuses_is_out_after_five() {
    for vip in VIPS {
        let scene = Scene::new();
        let mut backends = scene.web(&["a", "b", "c", "d"]);
        let _agent = scene.start();
        let pod = backends.pop().expect("a Pod").refuse();
        let calls = calls(&scene, &callers(&scene), vip, 120);
        let refused = calls.iter().filter(|call| call.errno == REFUSED).count();
        assert!((LIMIT..=LIMIT + 1).contains(&refused), "{vip}: {refused}");
        if vip == VIP4 {
            let (record, outcomes) = seen(&scene, &pod, PROTOCOL_TCP);
            assert_eq!((record.state, record.times), (BACKEND_EJECTED, 1));
            assert_eq!(outcomes.refused as usize, refused);
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
    let calls = calls(&scene, &callers(&scene), VIP4, 60);
    let failed = calls.iter().filter(|call| call.error.is_some()).count();
    assert!((LIMIT..=LIMIT + 2).contains(&failed), "{failed}");
    assert_eq!(record(&scene, pod).state, BACKEND_EJECTED);
}

#[test]
fn one_that_answers_is_counted_and_stays() {
    let scene = Scene::new();
    let backends = scene.web(&["a"]);
    let _agent = scene.start();
    let calls = calls(&scene, &callers(&scene), VIP4, 10);
    assert!(calls.iter().all(Call::answered), "{calls:?}");
    let (record, outcomes) = seen(&scene, &backends[0].pod, PROTOCOL_TCP);
    assert_eq!((record.state, record.failures), (BACKEND_AVAILABLE, 0));
    let others = outcomes.refused + outcomes.timed_out + outcomes.reset;
    assert_eq!((outcomes.established, others), (10, 0));
}

#[test]
fn what_a_client_gives_up_itself_does_not_count() {
    let scene = Scene::new();
    let backends = scene.web(&["a"]);
    let _agent = scene.start();
    drop_all(&backends[0].pod);
    for client in callers(&scene) {
        let caller = scene.caller(&client, Protocol::Tcp).mptcp();
        let caller = caller.timeout(Duration::from_millis(100));
        for call in caller.calls((VIP4, PORT).into(), 10).expect("calls") {
            assert!(call.error.is_some(), "{call:?}");
        }
    }
    assert_eq!(record(&scene, &backends[0].pod).failures, 0);
}
