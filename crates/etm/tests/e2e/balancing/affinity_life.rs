//! `sessionAffinity: ClientIP` in time: how long a client stays, and what it outlives.

use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::{Duration, Instant};

use etm_testkit::Protocol;

use super::affinity::{CALLERS, affine, apply, stage};
use super::crowd::{moved, pods};
use super::stage::{TARGET, service};

#[test]
fn a_client_that_stays_away_for_longer_is_given_a_pod_anew() {
    let stage = stage(CALLERS, Some(1), |agent| agent);
    let before = stage.crowd.found(TARGET);
    // A second, and the quarter of one by which a client may stay for longer.
    sleep(Duration::from_millis(1_400));
    // That all 20 find the same one of 12 again happens by chance once in 10^21 times.
    assert!(!moved(&before, &stage.crowd.found(TARGET)).is_empty());
}

#[test]
fn a_client_that_goes_on_calling_stays() {
    let stage = stage(1, Some(2), |agent| agent);
    let name = super::crowd::name(0);
    let mut session = stage.crowd.caller(&name, Protocol::Tcp).session(TARGET).expect("a session");
    let mut call = || {
        let started = Instant::now();
        let call = session.call().expect("a call");
        (started, call.pod().unwrap_or_else(|| panic!("{call:?}")).to_owned())
    };
    let (first, mut pod) = call();
    let mut last = first;
    let mut kept = 0;
    while first.elapsed() < Duration::from_secs(5) {
        sleep(Duration::from_millis(70));
        let (started, found) = call();
        // On a machine that stood still for longer than that, the client is free to change.
        if started.duration_since(last) < Duration::from_millis(1_500) {
            assert_eq!(found, pod);
            kept += 1;
        }
        (last, pod) = (started, found);
    }
    assert!(kept > 0);
}

#[test]
fn it_is_switched_on_and_off_while_it_runs() {
    let stage = stage(CALLERS, None, |agent| agent);
    let found = stage.crowd.found(TARGET);
    apply(&stage.scene, service());
    stage.until_balanced(|header| header.is_none());
    assert!(!moved(&found, &stage.crowd.found(TARGET)).is_empty());
    let name = super::crowd::name(0);
    let calls = stage.crowd.caller(&name, Protocol::Tcp).calls(TARGET, 40).expect("calls");
    assert!(calls.iter().map(|call| call.pod()).collect::<BTreeSet<_>>().len() > 1);
    apply(&stage.scene, affine(Some(60)));
    stage.until_balanced(|header| header.is_some_and(|header| header.affinity == 60));
    let found = stage.crowd.found(TARGET);
    assert_eq!(stage.crowd.found(TARGET), found);
    // A new timeout counts for those who are there.
    apply(&stage.scene, affine(Some(86_400)));
    stage.until_balanced(|header| header.is_some_and(|header| header.affinity == 86_400));
    assert_eq!(stage.crowd.found(TARGET), found);
}

#[test]
fn clients_outlive_the_agent() {
    let mut stage = stage(CALLERS, None, |agent| agent);
    let found = stage.crowd.found(TARGET);
    stage.agent.take().expect("an agent").kill().expect("an end");
    assert_eq!(stage.crowd.found(TARGET), found);
    stage.agent = Some(stage.scene.start());
    assert_eq!(stage.crowd.found(TARGET), found);
    // Programs of another build find them, too.
    stage.stop();
    let agent = stage.scene.agent().arg("--unknown-port=refuse").start().expect("an agent");
    stage.agent = Some(agent);
    assert_eq!(stage.crowd.found(TARGET), found);
}

#[test]
fn clients_beyond_the_most_push_out_those_that_did_not_call_for_longest() {
    const MANY: u32 = 200;
    let stage = stage(MANY, None, |agent| agent.arg("--max-clients=100"));
    let favourite = super::crowd::name(0);
    let caller = stage.crowd.caller(&favourite, Protocol::Tcp);
    let mut session = caller.session(TARGET).expect("a session");
    let mut regular = || session.call().expect("a call").pod().expect("a Pod").to_owned();
    let kept = regular();
    let mut early = Vec::new();
    for number in 1..MANY {
        let name = super::crowd::name(number);
        let call = stage.crowd.caller(&name, Protocol::Tcp).call(TARGET).expect("a call");
        early.push((name, call.pod().expect("everyone is served").to_owned()));
        assert_eq!(regular(), kept, "who calls all the time stays");
    }
    // Of those that called first, most are forgotten by now, and 1 in 12 of these finds the same
    // Pod again: that all 60 do happens by chance once in 10^60 times.
    early.truncate(60);
    let again = early.iter().map(|(name, _)| {
        let call = stage.crowd.caller(name, Protocol::Tcp).call(TARGET).expect("a call");
        (name.clone(), call.pod().expect("a Pod").to_owned())
    });
    let again = again.collect();
    assert!(!moved(&early.into_iter().collect(), &again).is_empty());
    assert!(pods(&again).len() > 1);
}
