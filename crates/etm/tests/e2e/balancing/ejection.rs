//! A Pod that is there but out: its callers go where they would if it were not there, and return.

use etm_abi::{BACKEND_AVAILABLE, Counter};
use etm_testkit::Protocol;

use super::crowd::{callers_of, moved, pods};
use super::stage::{Stage, TARGET, hash};
use crate::scene::{OUT, REFUSED};

/// Writes the state of a Pod's records, as nobody does yet but a test: no agent may run.
pub(super) fn set_state(stage: &Stage, pod: &str, state: u8) {
    assert!(stage.scene.set_state(pod, state) > 0, "{pod} is in the maps");
}

pub(super) fn eject(stage: &Stage, pod: &str) {
    set_state(stage, pod, OUT);
}

pub(super) fn readmit(stage: &Stage, pod: &str) {
    set_state(stage, pod, BACKEND_AVAILABLE);
}

fn only_its_callers_move_and_return(pods: u32) {
    let mut stage = Stage::new(pods as usize, 30, hash(&["callerPod"]));
    let before = stage.crowd.found(TARGET);
    let out = before.values().next().expect("a Pod").clone();
    stage.declare(&out, false, pods - 1);
    let removed = stage.crowd.found(TARGET);
    stage.declare(&out, true, pods);
    stage.stop();

    eject(&stage, &out);
    let ejected = stage.crowd.found(TARGET);
    assert_eq!(moved(&before, &ejected), callers_of(&before, &out), "only its own callers move");
    assert_eq!(ejected, removed, "as if it were removed");
    for protocol in [Protocol::UdpConnected, Protocol::UdpUnconnected] {
        assert_eq!(stage.crowd.found_by(TARGET, protocol, |caller| caller), ejected);
    }
    readmit(&stage, &out);
    assert_eq!(stage.crowd.found(TARGET), before, "they return");
}

#[test]
fn of_few_pods() {
    only_its_callers_move_and_return(5);
}

#[test]
fn of_many_pods() {
    only_its_callers_move_and_return(12);
}

#[test]
fn several_and_then_all() {
    let mut stage = Stage::new(4, 20, hash(&["callerPod"]));
    let before = stage.crowd.found(TARGET);
    stage.stop();
    let mut last = before.clone();
    for number in 0..3 {
        let out = format!("web-{number}");
        eject(&stage, &out);
        let found = stage.crowd.found(TARGET);
        assert_eq!(moved(&last, &found), callers_of(&last, &out));
        last = found;
    }
    assert_eq!(pods(&last), ["web-3"].into());
    eject(&stage, "web-3");
    for name in stage.crowd.names() {
        for protocol in [Protocol::Tcp, Protocol::UdpConnected, Protocol::UdpUnconnected] {
            let call = stage.crowd.caller(name, protocol).call(TARGET).expect("a call");
            assert_eq!(call.errno, REFUSED, "{call:?}");
        }
    }
    let counters = stage.scene.counters();
    assert_eq!(
        (counters[&Counter::ConnectAllEjected], counters[&Counter::SendAllEjected]),
        (40, 20)
    );
    // The next agent finds them as they are, and returns those beyond the share that may be out.
    let agent = stage.scene.start();
    let line = agent.ready_line();
    assert!(line.contains("8 adopted") && line.contains("0 repaired"), "{line}");
    assert_eq!(pods(&stage.crowd.found(TARGET)).len(), 2);
}
