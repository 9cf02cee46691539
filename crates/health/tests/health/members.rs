//! Backends that come, go and change hands.

use std::sync::Arc;

use etm_health::{Readiness, Record, State};
use etm_model::{HealthPolicy, ProbePort};

use crate::world::{
    backend, ejected, endpoint, governed, of, pool, probe, records, seconds, service, state,
    tracker, verdict,
};

#[test]
fn what_is_in_no_service_is_forgotten() {
    let mut tracker = tracker(&of(0..4));
    tracker.signal(seconds(1), backend(0), ejected(31, 1));
    records(&mut tracker, 1);
    tracker.set_service(seconds(2), &service("web"), &of(1..4));
    assert_eq!(tracker.verdict(seconds(2), &backend(0)), None);
    records(&mut tracker, 2);
    assert_eq!(tracker.next(), None);
    tracker.set_service(seconds(3), &service("web"), &of(0..4));
    records(&mut tracker, 3);
    assert_eq!(state(&tracker, 3, 0), State::Healthy);
    tracker.remove_service(seconds(4), &service("web"));
    assert_eq!(tracker.verdict(seconds(4), &backend(1)), None);
    assert!(tracker.changes(seconds(4)).is_empty());
}

#[test]
fn who_goes_ejected_and_comes_back_starts_anew() {
    let mut tracker = tracker(&of(0..4));
    tracker.signal(seconds(1), backend(0), ejected(31, 1));
    // The kernel's record may still be there, and say what it said.
    tracker.set_service(seconds(1), &service("web"), &of(1..4));
    tracker.set_service(seconds(1), &service("web"), &of(0..4));
    assert_eq!(records(&mut tracker, 1), [(0, Record::Available { times: 0 })]);
    assert_eq!(state(&tracker, 1, 0), State::Healthy);
}

#[test]
fn an_address_that_another_pod_has_starts_anew() {
    let mut tracker = tracker(&of(0..4));
    tracker.signal(seconds(1), backend(0), ejected(31, 3));
    records(&mut tracker, 1);
    let mut health = of(0..4);
    let other = etm_model::ObjectName::new("shop", "new");
    health.endpoints[0].pod = Some(other.clone());
    tracker.set_service(seconds(2), &service("web"), &health);
    assert_eq!(records(&mut tracker, 2), [(0, Record::Available { times: 0 })]);
    let told = verdict(&tracker, 2, 0);
    assert_eq!((told.state, told.pod), (State::Healthy, Some(other)));
}

#[test]
fn who_is_not_ready_for_a_while_comes_back_as_it_went() {
    let mut tracker = tracker(&of(0..4));
    tracker.signal(seconds(1), backend(0), ejected(31, 1));
    records(&mut tracker, 1);
    let mut health = of(0..4);
    health.pools = vec![pool(1..4)];
    health.endpoints[0] = endpoint(0, Readiness::NotReady);
    tracker.set_service(seconds(2), &service("web"), &health);
    assert_eq!(records(&mut tracker, 2), []);
    tracker.set_service(seconds(10), &service("web"), &of(0..4));
    // Its record may have been cleared meanwhile.
    let record = Record::Ejected { until: seconds(31), times: 1 };
    assert_eq!(records(&mut tracker, 10), [(0, record)]);
}

#[test]
fn a_written_policy_counts_before_the_default() {
    let mut tracker = tracker(&of(0..4));
    let late = governed([0], |policy| policy.ejection_time = seconds(7));
    tracker.set_service(seconds(1), &service("zoo"), &late);
    let changes = tracker.changes(seconds(1));
    assert_eq!(changes.policies.keys().collect::<Vec<_>>(), [&backend(0)]);
    assert_eq!(tracker.policy(&backend(0)), late.policy.as_ref());

    let early = governed([0], |policy| policy.ejection_time = seconds(9));
    tracker.set_service(seconds(2), &service("art"), &early);
    assert_eq!(tracker.policy(&backend(0)), early.policy.as_ref());

    for name in ["art", "zoo"] {
        tracker.remove_service(seconds(3), &service(name));
    }
    let changes = tracker.changes(seconds(3));
    let default = Some(Arc::new(HealthPolicy::default()));
    assert_eq!(changes.policies.get(&backend(0)), Some(&default));
}

#[test]
fn a_shorter_longest_ejection_counts_at_once() {
    let mut tracker = tracker(&of(0..4));
    tracker.signal(seconds(0), backend(0), ejected(300, 10));
    records(&mut tracker, 0);
    let short = governed(0..4, |policy| policy.max_ejection_time = seconds(60));
    tracker.set_service(seconds(10), &service("web"), &short);
    let record = Record::Ejected { until: seconds(70), times: 2 };
    assert_eq!(records(&mut tracker, 10), [(0, record)]);
}

#[test]
fn probes_go_to_members_at_the_port_that_is_asked() {
    let ask = |port| {
        let mut health = governed(0..2, |policy| {
            policy.probe = Some(etm_model::Probe { port, ..probe() });
        });
        health.endpoints[1].probe_port = Some(9_000);
        health.endpoints.push(endpoint(2, Readiness::NotReady));
        let targets = health.targets().into_iter();
        targets.map(|target| target.address.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(ask(None), ["10.1.0.0:8080", "10.1.0.1:8080"]);
    assert_eq!(ask(Some(ProbePort::Number(81))), ["10.1.0.0:81", "10.1.0.1:81"]);
    assert_eq!(ask(Some(ProbePort::Name("admin".into()))), ["10.1.0.1:9000"]);
    assert!(of(0..2).targets().is_empty());
}

#[test]
fn what_was_told_is_told_again_where_nobody_knows_whether_it_was_written() {
    let health = governed(0..4, |policy| policy.ejection_time = seconds(10));
    let mut tracker = tracker(&health);
    tracker.signal(seconds(1), backend(0), ejected(31, 1));
    assert!(tracker.changes(seconds(1)).records.is_empty());
    tracker.tell_again();
    assert_eq!(tracker.next(), Some(seconds(1)));
    let changes = tracker.changes(seconds(2));
    let record = Record::Ejected { until: seconds(31), times: 1 };
    assert_eq!(changes.records.into_iter().collect::<Vec<_>>(), [(backend(0), record)]);
    assert_eq!(changes.policies.len(), 4);
    let left = changes.budgets.values().map(|budget| budget.left());
    assert_eq!(left.collect::<Vec<_>>(), [1]);
}

#[test]
fn another_share_counts_for_the_same_members() {
    let health = of(0..4);
    let mut tracker = tracker(&health);
    for number in 0..2 {
        tracker.signal(seconds(1), backend(number), ejected(31, 1));
    }
    assert_eq!(records(&mut tracker, 1), []);
    let pools = health.pools;
    let strict = governed(0..4, |policy| policy.max_ejected_percent = crate::world::percent(25));
    let strict = etm_health::ServiceHealth { pools, ..strict };
    tracker.set_service(seconds(2), &service("web"), &strict);
    assert_eq!(records(&mut tracker, 2), [(1, Record::Available { times: 1 })]);
}
