//! What takes a backend out, and what brings it back.

use std::sync::Arc;

use etm_health::{
    MonitorEjection, ProbeFailure, Readiness, Reason, Record, Signal, State, Suspect,
};

use crate::world::{
    accused, backend, down, endpoint, failures, governed, node, of, pool, probe, records, seconds,
    service, state, tracker, verdict,
};

#[test]
fn a_backend_that_nothing_speaks_against_is_healthy() {
    let mut tracker = tracker(&of(0..4));
    assert_eq!(records(&mut tracker, 1), []);
    let verdict = verdict(&tracker, 1, 0);
    assert_eq!((verdict.state, verdict.reasons.len(), verdict.since), (State::Healthy, 0, None));
    assert_eq!(tracker.ejections(seconds(1)).count(), 0);
    assert_eq!(tracker.next(), None);
}

#[test]
fn a_node_takes_its_backends_out_and_brings_them_back() {
    let mut tracker = tracker(&of(0..6));
    tracker.set_nodes(seconds(1), [down(0)]);
    assert_eq!(records(&mut tracker, 1), [(0, Record::Out), (3, Record::Out)]);
    let told = verdict(&tracker, 4, 3);
    assert_eq!((told.state, told.since, told.returns), (State::Ejected, Some(seconds(3)), None));
    assert_eq!(told.reasons[0].reason.to_string(), "node: NotReady: no heartbeat");
    assert_eq!(told.node, Some(node(3)));

    tracker.set_nodes(seconds(5), []);
    let back = Record::Available { times: 0 };
    assert_eq!(records(&mut tracker, 5), [(0, back), (3, back)]);
    assert_eq!(state(&tracker, 5, 3), State::Healthy);
}

#[test]
fn a_backend_that_comes_to_a_broken_node_is_out_at_once() {
    let mut tracker = tracker(&of(0..3));
    tracker.set_nodes(seconds(1), [down(0)]);
    records(&mut tracker, 1);
    tracker.set_service(seconds(2), &service("web"), &of(0..6));
    assert_eq!(records(&mut tracker, 2), [(3, Record::Out)]);
}

#[test]
fn a_monitor_takes_out_pods_and_addresses_of_its_own_service() {
    let mut tracker = tracker(&of(0..4));
    tracker.set_service(seconds(0), &service("other"), &of(6..10));
    let address = MonitorEjection { suspect: Suspect::Address(backend(1).ip), ..accused(1) };
    let mut health = of(0..4);
    health.monitored = vec![accused(0), address, accused(7)];
    tracker.set_service(seconds(1), &service("web"), &health);
    assert_eq!(records(&mut tracker, 1), [(0, Record::Out), (1, Record::Out)]);
    let reasons = verdict(&tracker, 1, 0).reasons;
    assert_eq!(reasons[0].reason.to_string(), "monitor errors: 0.4 > 0.05");

    tracker.set_service(seconds(2), &service("web"), &of(0..4));
    let back = Record::Available { times: 0 };
    assert_eq!(records(&mut tracker, 2), [(0, back), (1, back)]);
}

#[test]
fn probes_count_from_their_threshold_on_both_ways() {
    let mut tracker = tracker(&governed(0..4, |policy| policy.probe = Some(probe())));
    let probed = |result| Signal::Probed(Arc::new(probe()), result);
    let mut at = 0;
    let mut tell = |result: Result<(), ProbeFailure>| {
        at += 10;
        tracker.signal(seconds(at), backend(2), probed(result));
        (records(&mut tracker, at), state(&tracker, at, 2))
    };
    let failed = || Err(ProbeFailure::Status(500));
    assert_eq!(tell(failed()), (vec![], State::Suspect));
    assert_eq!(tell(failed()), (vec![], State::Suspect));
    assert_eq!(tell(Ok(())), (vec![], State::Healthy));
    assert_eq!(tell(failed()), (vec![], State::Suspect));
    assert_eq!(tell(failed()), (vec![], State::Suspect));
    assert_eq!(tell(failed()), (vec![(2, Record::Out)], State::Ejected));
    assert_eq!(tell(Ok(())), (vec![], State::Ejected));
    assert_eq!(tell(failed()), (vec![], State::Ejected));
    assert_eq!(tell(Ok(())), (vec![], State::Ejected));
    assert_eq!(tell(Ok(())), (vec![(2, Record::Available { times: 0 })], State::Healthy));
}

#[test]
fn a_probe_that_nobody_asks_for_any_more_does_not_count() {
    let mut tracker = tracker(&governed(0..4, |policy| policy.probe = Some(probe())));
    let failed = || Signal::Probed(Arc::new(probe()), Err(ProbeFailure::Refused));
    for at in 1..=3 {
        tracker.signal(seconds(at), backend(2), failed());
    }
    assert_eq!(records(&mut tracker, 3), [(2, Record::Out)]);
    tracker.set_service(seconds(4), &service("web"), &of(0..4));
    assert_eq!(records(&mut tracker, 4), [(2, Record::Available { times: 0 })]);
    for at in 5..=9 {
        tracker.signal(seconds(at), backend(2), failed());
    }
    assert_eq!(records(&mut tracker, 9), []);
}

#[test]
fn readiness_is_told_and_left_to_the_plan() {
    let mut health = of(0..4);
    health.pools = vec![pool(1..4)];
    health.endpoints[0] = endpoint(0, Readiness::NotReady);
    health.endpoints[1] = endpoint(1, Readiness::Terminating);
    let mut tracker = tracker(&health);
    assert_eq!(records(&mut tracker, 1), []);
    let not_ready = verdict(&tracker, 7, 0);
    assert_eq!((not_ready.state, not_ready.since), (State::Ejected, Some(seconds(7))));
    let condition = Readiness::NotReady;
    assert_eq!(not_ready.reasons[0].reason, Reason::Readiness { condition });
    // It still serves, and is a member since nothing better is.
    assert_eq!(state(&tracker, 7, 1), State::Suspect);
}

#[test]
fn a_caller_that_fails_alone_takes_nothing_from_others() {
    let mut tracker = tracker(&of(0..4));
    tracker.signal(seconds(1), backend(0), Signal::Alone(failures()));
    assert_eq!(records(&mut tracker, 1), []);
    let told = verdict(&tracker, 1, 0);
    assert_eq!(told.state, State::Suspect);
    assert_eq!(told.reasons[0].reason, Reason::Alone(failures()));
    assert_eq!(tracker.next(), Some(seconds(31)));
    records(&mut tracker, 31);
    assert_eq!(state(&tracker, 31, 0), State::Healthy);
}

#[test]
fn all_reasons_are_told_the_surest_first() {
    let mut health = governed(0..6, |policy| policy.probe = Some(probe()));
    health.monitored = vec![accused(0)];
    let mut tracker = tracker(&health);
    tracker.signal(seconds(1), backend(0), Signal::Failing(failures()));
    tracker.signal(seconds(1), backend(0), Signal::Alone(failures()));
    let failed = Signal::Probed(Arc::new(probe()), Err(ProbeFailure::Refused));
    tracker.signal(seconds(1), backend(0), failed);
    tracker.set_nodes(seconds(2), [down(0)]);
    tracker.changes(seconds(2));
    let reasons = verdict(&tracker, 2, 0).reasons;
    let told: Vec<_> = reasons.iter().map(|held| held.reason.to_string()).collect();
    assert_eq!(
        told,
        [
            "node: NotReady: no heartbeat",
            "monitor errors: 0.4 > 0.05",
            "5 connections in a row failed, from 2 callers",
            "1 probes in a row failed: connection refused",
            "one caller alone: 5 failures in a row",
        ]
    );
}

#[test]
fn a_verdict_is_told_in_seconds() {
    let mut tracker = tracker(&of(0..4));
    tracker.set_nodes(seconds(1), [down(0)]);
    tracker.changes(seconds(1));
    let told = serde_json::to_value(verdict(&tracker, 61, 0)).unwrap();
    let expected = serde_json::json!({
        "backend": {"ip": "10.1.0.0", "port": 8080, "protocol": "TCP"},
        "pod": {"namespace": "shop", "name": "web-0"},
        "node": "node-0",
        "services": [{
            "service": {"namespace": "shop", "name": "web"}, "port": "", "protocol": "TCP",
        }],
        "state": "ejected",
        "reasons": [{
            "signal": "node", "reason": "NotReady", "message": "no heartbeat", "sinceSeconds": 60,
        }],
        "sinceSeconds": 60,
        "times": 0,
        "successes": 0,
    });
    assert_eq!(told, expected);
}
