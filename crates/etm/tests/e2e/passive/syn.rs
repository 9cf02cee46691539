//! What is told by SYNs: sent once more, answered too late for the caller, or never sent.

use std::time::Duration;

use etm_abi::PROTOCOL_TCP;
use etm_testkit::{Agent, Call, Language, Pod, Protocol};
use serde_json::json;

use super::{callers, failures::drop_all, seen, set_policy};
use crate::scene::{Backend, PORT, REFUSED, Scene, VIP4};

/// `ENETUNREACH`.
const UNREACHABLE: Option<i32> = Some(101);

/// A Service of one Pod that leaves out every packet, which is to count after so many repeats.
fn deaf(repeats: u32) -> (Scene, Backend, Agent) {
    let scene = Scene::new();
    let backend = scene.web(&["a"]).remove(0);
    set_policy(&scene, &json!({"health": {"passive": {"synRetransmits": repeats}}}));
    let agent = scene.start();
    drop_all(&backend.pod);
    (scene, backend, agent)
}

fn call(scene: &Scene, client: &Pod, milliseconds: u64) -> Call {
    let caller = scene.caller(client, Protocol::Tcp).timeout(Duration::from_millis(milliseconds));
    caller.call((VIP4, PORT).into()).expect("a call")
}

#[test]
fn a_connection_counts_once_its_syn_was_repeated_as_often_as_the_policy_says() {
    let (scene, backend, _agent) = deaf(2);
    let pod = &backend.pod;
    let client = &callers(&scene)[0];
    // Linux repeats a SYN after one second, and after one (since 6.5) or two more.
    for (milliseconds, repeated, failures) in [(1_500, 1, 0), (3_500, 3, 1)] {
        assert!(call(&scene, client, milliseconds).error.is_some());
        let (record, outcomes) = seen(&scene, pod, PROTOCOL_TCP);
        assert!((repeated..2 * repeated).contains(&outcomes.syn_retransmits), "{outcomes:?}");
        assert_eq!(record.failures, failures);
        assert_eq!((outcomes.refused, outcomes.established), (0, 0), "{outcomes:?}");
    }
}

#[test]
fn one_that_the_kernel_gives_up_before_has_timed_out() {
    let (scene, backend, _agent) = deaf(6);
    let pod = &backend.pod;
    let client = &callers(&scene)[0];
    let once = "echo 1 > /proc/sys/net/ipv4/tcp_syn_retries";
    assert!(client.command("sh").args(["-c", once]).status().expect("sh runs").success());
    let call = call(&scene, client, 10_000);
    assert!(call.error.is_some(), "{call:?}");
    let (record, outcomes) = seen(&scene, pod, PROTOCOL_TCP);
    assert_eq!((outcomes.timed_out, outcomes.refused), (1, 0), "{outcomes:?}");
    assert_eq!(record.failures, 1);
    assert!((1..6).contains(&outcomes.syn_retransmits), "{outcomes:?}");
}

#[test]
fn what_never_leaves_the_caller_does_not_count() {
    let scene = Scene::new();
    let backends = scene.web(&["a"]);
    let _agent = scene.start();
    let pod = &backends[0].pod;
    let clients = callers(&scene);
    let languages = [Language::Std, Language::Tokio, Language::Python];
    let call = |client: &Pod, language| {
        let caller = scene.caller(client, Protocol::Tcp).language(language);
        caller.call((VIP4, PORT).into()).expect("a call")
    };
    for client in &clients {
        let status = client.command("ip").args(["route", "flush", "all"]).status();
        assert!(status.expect("ip runs").success());
        for language in languages {
            assert_eq!(call(client, language).errno, UNREACHABLE);
        }
    }
    let (record, outcomes) = seen(&scene, pod, PROTOCOL_TCP);
    assert_eq!((record.failures, outcomes.refused, outcomes.timed_out), (0, 0, 0));
}

#[test]
fn a_refusal_counts_however_the_caller_waits_for_it() {
    let scene = Scene::new();
    let mut backends = scene.web(&["a", "b"]);
    let passive = json!({"consecutiveFailures": 100, "failureShare": {"minimumConnections": 1000}});
    set_policy(&scene, &json!({"health": {"passive": passive}}));
    let _agent = scene.start();
    let pod = backends.pop().expect("a Pod").refuse();
    let client = &callers(&scene)[0];
    let mut refused = 0;
    for language in [Language::Std, Language::Tokio, Language::Python] {
        let caller = scene.caller(client, Protocol::Tcp).language(language);
        let calls = caller.calls((VIP4, PORT).into(), 20).expect("calls");
        let here = calls.iter().filter(|call| call.errno == REFUSED).count();
        assert!(here > 0, "{language:?}: {calls:?}, {:?}", seen(&scene, &pod, PROTOCOL_TCP));
        refused += here as u32;
    }
    let (_, outcomes) = seen(&scene, &pod, PROTOCOL_TCP);
    assert_eq!((outcomes.refused, outcomes.timed_out), (refused, 0), "{outcomes:?}");
}
