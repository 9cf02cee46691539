//! UDP Pods whose port is closed, where a policy expects replies, and where none does.

use std::net::IpAddr;

use etm_abi::{BACKEND_AVAILABLE, BACKEND_EJECTED, PROTOCOL_UDP};
use etm_testkit::wait::{until, until_logged};
use etm_testkit::{Call, Pod, Protocol};
use serde_json::json;

use super::{LIMIT, callers, seen, set_policy};
use crate::scene::{PORT, REFUSED, Scene, VIP4, VIPS};

/// Calls by connected sockets from each Pod in turn, and how many were refused.
fn refused(scene: &Scene, callers: &[Pod], vip: IpAddr, count: usize) -> usize {
    let call = |at: usize| {
        let caller = scene.caller(&callers[at % callers.len()], Protocol::UdpConnected);
        caller.call((vip, PORT).into()).expect("a call")
    };
    (0..count).map(call).filter(|call: &Call| call.errno == REFUSED).count()
}

#[test]
fn one_whose_port_is_closed_is_out_after_five() {
    for vip in VIPS {
        let scene = Scene::new();
        let mut backends = scene.web(&["a", "b", "c", "d"]);
        set_policy(&scene, &json!({"health": {"passive": {"repliesExpected": true}}}));
        let agent = scene.start();
        let pod = backends.pop().expect("a Pod").refuse();
        let refused = refused(&scene, &callers(&scene), vip, 120);
        assert!((LIMIT..=LIMIT + 1).contains(&refused), "{vip}: {refused}");
        until_logged(&agent, &["ejected", "default/d"]);
        if vip == VIP4 {
            let (record, outcomes) = seen(&scene, &pod, PROTOCOL_UDP);
            assert_eq!((record.state, record.times), (BACKEND_EJECTED, 1));
            assert_eq!((outcomes.refused as usize, outcomes.timed_out), (refused, 0));
            let (other, outcomes) = seen(&scene, &backends[0].pod, PROTOCOL_UDP);
            assert_eq!((other.state, other.failures, outcomes.refused), (BACKEND_AVAILABLE, 0, 0));
            assert!(outcomes.established > 0);
            // Over TCP it is judged by itself.
            let (tcp, _) = seen(&scene, &pod, etm_abi::PROTOCOL_TCP);
            assert_eq!((tcp.state, tcp.failures), (BACKEND_AVAILABLE, 0));
        }
    }
}

#[test]
fn without_a_policy_that_expects_replies_nothing_counts() {
    for policy in [json!({}), json!({"health": {"passive": {"replyTimeout": "1ms"}}})] {
        let scene = Scene::new();
        let mut backends = scene.web(&["a", "b"]);
        set_policy(&scene, &policy);
        let _agent = scene.start();
        let pod = backends.pop().expect("a Pod").refuse();
        assert!(refused(&scene, &callers(&scene), VIP4, 60) > LIMIT * 2);
        for pod in [&pod, &backends[0].pod] {
            let (record, outcomes) = seen(&scene, pod, PROTOCOL_UDP);
            assert_eq!((record.state, record.failures), (BACKEND_AVAILABLE, 0));
            assert_eq!(outcomes, etm_abi::Outcomes::default());
        }
    }
}

#[test]
fn a_caller_that_fails_alone_takes_it_from_nobody_else() {
    let scene = Scene::new();
    let mut backends = scene.web(&["a", "b", "c", "d"]);
    set_policy(&scene, &json!({"health": {"passive": {"repliesExpected": true}}}));
    let _agent = scene.start();
    let pod = backends.pop().expect("a Pod").refuse();
    let [one, two] = ["one", "two"].map(|name| [scene.node.pod(name).expect("a Pod")]);
    assert_eq!(refused(&scene, &one, VIP4, 100), LIMIT);
    let (after, _) = seen(&scene, &pod, PROTOCOL_UDP);
    assert_eq!((after.state, after.shunned), (BACKEND_AVAILABLE, 1));
    // The first failure of another one makes it a failure of several.
    assert_eq!(refused(&scene, &two, VIP4, 100), 1);
    assert_eq!(seen(&scene, &pod, PROTOCOL_UDP).0.state, BACKEND_EJECTED);
}

#[test]
fn one_that_replies_again_is_back_after_its_probation() {
    let scene = Scene::new();
    let mut backends = scene.web(&["a", "b"]);
    set_policy(
        &scene,
        &json!({"health": {
            "passive": {"repliesExpected": true},
            "ejectionTime": "1s",
            "probation": {"interval": "100ms", "successes": 2},
        }}),
    );
    let agent = scene.start();
    let pod = backends.pop().expect("a Pod").refuse();
    let callers = callers(&scene);
    assert!(refused(&scene, &callers, VIP4, 60) >= LIMIT);
    until("it is tried", || {
        refused(&scene, &callers, VIP4, 1);
        seen(&scene, &pod, PROTOCOL_UDP).0.times >= 2
    });
    let _server = pod.serve(&[], &[crate::scene::POD_PORT]).expect("a server");
    until("it is back", || {
        refused(&scene, &callers, VIP4, 1);
        seen(&scene, &pod, PROTOCOL_UDP).0.state == BACKEND_AVAILABLE
    });
    until_logged(&agent, &["back", "default/b"]);
    assert_eq!(refused(&scene, &callers, VIP4, 40), 0);
}
