//! What connections lead to: ejection, probation, return.

use etm_health::{Reason, Record, Signal, State, Why};

use crate::world::{
    backend, down, ejected, failures, governed, of, outcomes, records, seconds, service, state,
    tracker, verdict,
};

#[test]
fn what_the_kernel_ejected_is_told_and_not_written_again() {
    let mut tracker = tracker(&of(0..4));
    tracker.signal(seconds(10), backend(0), ejected(40, 1));
    assert_eq!(records(&mut tracker, 10), []);
    let told = verdict(&tracker, 20, 0);
    assert_eq!((told.state, told.times), (State::Ejected, 1));
    assert_eq!((told.since, told.returns), (Some(seconds(10)), Some(seconds(20))));
    assert_eq!(told.reasons[0].reason, Reason::Passive(Why::InRow(failures())));
    assert_eq!(tracker.budget_of(&service("web")).unwrap().left(), 1);
}

#[test]
fn probation_follows_and_successes_end_it() {
    let mut tracker = tracker(&of(0..4));
    tracker.signal(seconds(10), backend(0), ejected(40, 1));
    records(&mut tracker, 10);
    assert_eq!(tracker.next(), Some(seconds(40)));
    assert_eq!(records(&mut tracker, 40), []);
    assert_eq!(state(&tracker, 40, 0), State::Probation);
    for at in 41..=42 {
        tracker.signal(seconds(at), backend(0), Signal::Passed);
    }
    records(&mut tracker, 42);
    assert_eq!(verdict(&tracker, 42, 0).successes, 2);
    tracker.signal(seconds(43), backend(0), Signal::Passed);
    tracker.signal(seconds(43), backend(0), Signal::Returned);
    // As the kernel has it already.
    assert_eq!(records(&mut tracker, 43), []);
    assert_eq!(state(&tracker, 43, 0), State::Healthy);
}

#[test]
fn ejections_grow_with_their_number_up_to_the_longest() {
    let mut tracker = tracker(&of(0..4));
    let mut now = 0;
    for (times, lasts) in [(1, 30), (2, 60), (3, 90), (4, 120)] {
        tracker.signal(seconds(now), backend(0), Signal::Failing(failures()));
        let until = seconds(now + lasts);
        assert_eq!(records(&mut tracker, now), [(0, Record::Ejected { until, times })]);
        now += lasts;
        tracker.signal(seconds(now), backend(0), Signal::Returned);
        records(&mut tracker, now);
    }
    for _ in 0..20 {
        tracker.signal(seconds(now), backend(0), Signal::Failing(failures()));
        records(&mut tracker, now);
        now += 300;
        tracker.signal(seconds(now), backend(0), Signal::Returned);
        records(&mut tracker, now);
    }
    let times = 10;
    let until = seconds(now + 300);
    tracker.signal(seconds(now), backend(0), Signal::Failing(failures()));
    assert_eq!(records(&mut tracker, now), [(0, Record::Ejected { until, times })]);
}

#[test]
fn good_behaviour_makes_the_next_ejection_shorter() {
    let mut tracker = tracker(&of(0..4));
    tracker.signal(seconds(0), backend(0), ejected(90, 3));
    tracker.signal(seconds(100), backend(0), Signal::Returned);
    assert_eq!(records(&mut tracker, 100), []);
    assert_eq!(tracker.next(), Some(seconds(130)));
    assert_eq!(records(&mut tracker, 130), [(0, Record::Available { times: 2 })]);
    assert_eq!(records(&mut tracker, 190), [(0, Record::Available { times: 0 })]);
    assert_eq!(tracker.next(), None);
}

#[test]
fn a_failure_in_probation_ejects_for_longer() {
    let mut tracker = tracker(&of(0..4));
    tracker.signal(seconds(0), backend(0), ejected(30, 1));
    let failed = Signal::Failed(failures().last);
    tracker.signal(seconds(35), backend(0), failed);
    tracker.signal(seconds(35), backend(0), ejected(95, 2));
    assert_eq!(records(&mut tracker, 35), []);
    let told = verdict(&tracker, 35, 0);
    assert_eq!((told.state, told.times, told.returns), (State::Ejected, 2, Some(seconds(60))));
}

#[test]
fn a_probation_that_something_surer_interrupts_starts_over() {
    let mut tracker = tracker(&of(0..4));
    tracker.signal(seconds(0), backend(0), ejected(30, 1));
    tracker.signal(seconds(30), backend(0), Signal::Passed);
    assert_eq!(records(&mut tracker, 30), []);
    assert_eq!(verdict(&tracker, 30, 0).successes, 1);
    tracker.set_nodes(seconds(31), [down(0)]);
    assert_eq!(records(&mut tracker, 31)[0], (0, Record::Out));
    tracker.set_nodes(seconds(32), []);
    let record = Record::Ejected { until: seconds(30), times: 1 };
    assert_eq!(records(&mut tracker, 32)[0], (0, record));
    let told = verdict(&tracker, 32, 0);
    assert_eq!((told.state, told.successes), (State::Probation, 0));
}

#[test]
fn a_share_of_failures_ejects_once_there_are_enough() {
    let mut tracker = tracker(&of(0..4));
    tracker.signal(seconds(0), backend(0), Signal::Outcomes(outcomes(100, 100)));
    tracker.signal(seconds(1), backend(0), Signal::Outcomes(outcomes(109, 109)));
    assert_eq!(records(&mut tracker, 1), []);
    assert_eq!(state(&tracker, 1, 0), State::Suspect);
    tracker.signal(seconds(2), backend(0), Signal::Outcomes(outcomes(110, 110)));
    let record = Record::Ejected { until: seconds(32), times: 1 };
    assert_eq!(records(&mut tracker, 2), [(0, record)]);
    let why = Why::Share { failures: 10, connections: 20 };
    assert_eq!(verdict(&tracker, 2, 0).reasons[0].reason, Reason::Passive(why));
}

#[test]
fn failures_that_are_long_ago_are_forgotten() {
    let mut tracker = tracker(&of(0..4));
    tracker.signal(seconds(0), backend(0), Signal::Outcomes(outcomes(0, 0)));
    tracker.signal(seconds(1), backend(0), Signal::Outcomes(outcomes(0, 15)));
    records(&mut tracker, 1);
    assert_eq!(tracker.next(), Some(seconds(30)));
    records(&mut tracker, 30);
    assert_eq!(state(&tracker, 30, 0), State::Healthy);
    tracker.signal(seconds(40), backend(0), Signal::Outcomes(outcomes(0, 30)));
    assert_eq!(records(&mut tracker, 40), []);
}

#[test]
fn an_ejection_goes_on_after_what_was_surer_is_over() {
    let mut tracker = tracker(&of(0..4));
    tracker.signal(seconds(0), backend(1), ejected(30, 1));
    tracker.set_nodes(seconds(1), [down(1)]);
    assert_eq!(records(&mut tracker, 1), [(1, Record::Out)]);
    tracker.set_nodes(seconds(50), []);
    // The kernel lets one in a while through, since the time is over.
    let record = Record::Ejected { until: seconds(30), times: 1 };
    assert_eq!(records(&mut tracker, 50), [(1, record)]);
    assert_eq!(state(&tracker, 50, 1), State::Probation);
}

#[test]
fn a_policy_can_leave_connections_out_of_it() {
    let mut tracker = tracker(&governed(0..4, |policy| policy.passive = None));
    assert_eq!(tracker.budget_of(&service("web")).unwrap().left(), 0);
    tracker.signal(seconds(0), backend(0), Signal::Failing(failures()));
    assert_eq!(records(&mut tracker, 0), []);
    // The kernel was faster than the policy.
    tracker.signal(seconds(1), backend(0), ejected(30, 1));
    assert_eq!(records(&mut tracker, 1), [(0, Record::Available { times: 0 })]);
}

#[test]
fn what_the_agent_before_had_ejected_stays_so() {
    let mut tracker = tracker(&of(0..8));
    let now = seconds(100);
    let ejected = |until| Record::Ejected { until: seconds(until), times: 2 };
    tracker.adopt(now, backend(0), ejected(120));
    tracker.adopt(now, backend(1), ejected(50));
    tracker.adopt(now, backend(2), Record::Out);
    tracker.adopt(now, backend(3), Record::Available { times: 1 });
    assert_eq!(records(&mut tracker, 100), []);
    let states = [0, 1, 2, 3].map(|number| state(&tracker, 100, number));
    assert_eq!(states, [State::Ejected, State::Probation, State::Ejected, State::Healthy]);
    assert_eq!(verdict(&tracker, 100, 3).times, 1);
    let back = |number| (number, Record::Available { times: 0 });
    assert_eq!(records(&mut tracker, 130), [back(2), back(3)]);
}
