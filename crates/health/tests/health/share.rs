//! How much of a Service may be out, and who is spared.

use std::sync::Arc;

use etm_health::{Record, Signal, State};

use crate::world::{
    backend, down, ejected, failures, governed, of, percent, records, seconds, service, state,
    tracker, verdict,
};

const BACK: Record = Record::Available { times: 0 };

#[test]
fn half_of_a_service_may_be_out_and_the_rest_is_told() {
    let mut tracker = tracker(&of(0..5));
    tracker.set_nodes(seconds(1), [down(0), down(1)]);
    // Backends 0 and 3 are on one of them, 1 and 4 on the other.
    assert_eq!(records(&mut tracker, 1), [(0, Record::Out), (1, Record::Out)]);
    let told = verdict(&tracker, 1, 3);
    assert_eq!(told.state, State::Suspect);
    let spared = told.spared.unwrap();
    assert_eq!((spared.service, spared.allowed, spared.members), (service("web"), 2, 5));
    assert_eq!(spared.max_ejected_percent, Some(percent(50)));
    assert_eq!(tracker.budget_of(&service("web")).unwrap().left(), 0);
}

#[test]
fn the_last_one_is_kept_unless_all_may_be_out() {
    let one = |share| {
        let mut tracker = tracker(&governed(0..1, |policy| policy.max_ejected_percent = share));
        tracker.set_nodes(seconds(1), [down(0)]);
        records(&mut tracker, 1)
    };
    assert_eq!(one(percent(50)), []);
    assert_eq!(one(percent(99)), []);
    assert_eq!(one(percent(100)), [(0, Record::Out)]);
    let mut none = tracker(&governed(0..9, |policy| policy.max_ejected_percent = percent(0)));
    none.set_nodes(seconds(1), [down(0), down(1), down(2)]);
    assert_eq!(records(&mut none, 1), []);
}

#[test]
fn a_spared_one_is_out_once_there_is_room() {
    let mut tracker = tracker(&of(0..2));
    tracker.set_nodes(seconds(1), [down(0), down(1)]);
    assert_eq!(records(&mut tracker, 1), [(0, Record::Out)]);
    tracker.set_nodes(seconds(2), [down(1)]);
    assert_eq!(records(&mut tracker, 2), [(0, BACK), (1, Record::Out)]);
    tracker.set_nodes(seconds(3), []);
    assert_eq!(records(&mut tracker, 3), [(1, BACK)]);
}

#[test]
fn a_spared_one_whose_connections_succeed_again_stays() {
    let mut tracker = tracker(&of(0..2));
    tracker.signal(seconds(1), backend(0), ejected(31, 1));
    tracker.signal(seconds(2), backend(1), Signal::Failing(failures()));
    assert_eq!(records(&mut tracker, 2), []);
    assert_eq!(state(&tracker, 2, 1), State::Suspect);
    let counted =
        |established, refused| Signal::Outcomes(crate::world::outcomes(established, refused));
    tracker.signal(seconds(3), backend(1), counted(0, 5));
    tracker.signal(seconds(4), backend(1), counted(9, 5));
    assert_eq!(records(&mut tracker, 4), []);
    assert_eq!(state(&tracker, 4, 1), State::Healthy);
    tracker.signal(seconds(40), backend(0), Signal::Returned);
    assert_eq!(records(&mut tracker, 40), []);
}

#[test]
fn a_spared_one_that_still_fails_goes_once_there_is_room() {
    let mut tracker = tracker(&of(0..2));
    tracker.signal(seconds(1), backend(0), ejected(31, 1));
    tracker.signal(seconds(20), backend(1), Signal::Failing(failures()));
    records(&mut tracker, 20);
    tracker.signal(seconds(32), backend(0), Signal::Returned);
    let record = Record::Ejected { until: seconds(62), times: 1 };
    assert_eq!(records(&mut tracker, 32), [(1, record)]);
}

#[test]
fn the_surer_case_takes_the_place_of_the_other() {
    let mut tracker = tracker(&of(0..2));
    tracker.signal(seconds(1), backend(0), ejected(31, 1));
    records(&mut tracker, 1);
    tracker.set_nodes(seconds(5), [down(1)]);
    let back = Record::Available { times: 1 };
    assert_eq!(records(&mut tracker, 5), [(0, back), (1, Record::Out)]);
    assert!(verdict(&tracker, 5, 0).spared.is_some());
    // The rest of its time, and no longer for having been spared.
    tracker.set_nodes(seconds(10), []);
    let again = Record::Ejected { until: seconds(31), times: 1 };
    assert_eq!(records(&mut tracker, 10), [(0, again), (1, BACK)]);
}

#[test]
fn probation_ends_early_where_a_surer_case_needs_the_room() {
    let mut tracker = tracker(&of(0..2));
    tracker.signal(seconds(1), backend(0), ejected(31, 1));
    records(&mut tracker, 40);
    assert_eq!(state(&tracker, 40, 0), State::Probation);
    tracker.signal(seconds(41), backend(1), Signal::Failing(failures()));
    assert_eq!(records(&mut tracker, 41), []);
    assert_eq!(state(&tracker, 41, 0), State::Probation);
    tracker.set_nodes(seconds(42), [down(1)]);
    let back = Record::Available { times: 1 };
    assert_eq!(records(&mut tracker, 42), [(0, back), (1, Record::Out)]);
    assert_eq!(state(&tracker, 42, 0), State::Healthy);
}

#[test]
fn of_two_services_the_stricter_one_counts() {
    let mut tracker = tracker(&of(0..8));
    let strict = governed([0, 9], |policy| policy.max_ejected_percent = percent(10));
    tracker.set_service(seconds(0), &service("strict"), &strict);
    tracker.changes(seconds(0));
    // The kernel could not know: it was the other's budget.
    tracker.signal(seconds(1), backend(0), ejected(31, 1));
    tracker.signal(seconds(1), backend(1), ejected(31, 1));
    assert_eq!(records(&mut tracker, 1), [(0, Record::Available { times: 1 })]);
    assert_eq!(verdict(&tracker, 1, 0).spared.unwrap().service, service("strict"));
    let budgets = ["web", "strict"].map(|name| tracker.budget_of(&service(name)).unwrap().left());
    assert_eq!(budgets, [3, 0]);
}

#[test]
fn each_family_keeps_its_share() {
    let mut health = of(0..4);
    health.pools = vec![crate::world::pool(0..2), crate::world::pool(2..4)];
    let mut tracker = tracker(&health);
    tracker.signal(seconds(1), backend(2), Signal::Failing(failures()));
    tracker.signal(seconds(1), backend(3), Signal::Failing(failures()));
    let record = Record::Ejected { until: seconds(31), times: 1 };
    assert_eq!(records(&mut tracker, 1), [(2, record)]);
    // The kernel knows a Service's budget, not a pool's: the one with the least room counts.
    assert_eq!(tracker.budget_of(&service("web")).unwrap().left(), 0);
}

#[test]
fn who_publishes_what_is_not_ready_wants_it_used() {
    let mut health = of(0..4);
    health.publish_not_ready = true;
    let mut tracker = tracker(&health);
    tracker.set_nodes(seconds(1), [down(0)]);
    tracker.signal(seconds(1), backend(1), ejected(31, 1));
    assert_eq!(records(&mut tracker, 1), [(1, BACK)]);
    assert_eq!(tracker.budget_of(&service("web")).unwrap().left(), 0);
    health.policy = Some(Arc::default());
    tracker.set_service(seconds(2), &service("web"), &health);
    assert_eq!(records(&mut tracker, 2), [(0, Record::Out), (3, Record::Out)]);
}

#[test]
fn fewer_members_bring_one_back() {
    let mut tracker = tracker(&of(0..4));
    tracker.signal(seconds(1), backend(0), ejected(31, 1));
    tracker.signal(seconds(2), backend(1), ejected(32, 1));
    assert_eq!(records(&mut tracker, 2), []);
    tracker.set_service(seconds(3), &service("web"), &of(0..3));
    assert_eq!(records(&mut tracker, 3), [(1, Record::Available { times: 1 })]);
}
