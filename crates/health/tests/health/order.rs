//! What is told in one instant may be told in any order.

use etm_health::{FailureKind, Failures, Outcomes, ProbeFailure, Signal, Tracker};
use proptest::{collection::vec, prelude::*};

use crate::world::{accused, backend, down, governed, of, percent, probe, seconds, service};

#[derive(Clone, Debug)]
enum Told {
    Signal(u8, Signal),
    Nodes(u8),
    /// Of the Service of a number: there are two, which share backends 2 to 5.
    Accused(usize, u8),
}

fn failures() -> impl Strategy<Value = Failures> {
    let last = prop::sample::select(vec![FailureKind::Refused, FailureKind::TimedOut]);
    (3u32..6, 1u32..4, last).prop_map(|(in_row, callers, last)| Failures { in_row, callers, last })
}

fn signal() -> impl Strategy<Value = Signal> {
    let probed =
        prop_oneof![Just(Ok(())), (500u16..503).prop_map(|s| Err(ProbeFailure::Status(s)))];
    prop_oneof![
        failures().prop_map(Signal::Alone),
        Just(Signal::Passed),
        Just(Signal::Returned),
        Just(Signal::Failed(FailureKind::Reset)),
        failures().prop_map(Signal::Failing),
        (failures(), 0u64..200, 0u32..4).prop_map(|(failures, until, times)| Signal::Ejected {
            failures,
            until: seconds(until),
            times,
        }),
        probed.prop_map(|result| Signal::Probed(probe().into(), result)),
        (0u64..40, 0u64..40).prop_map(|(established, refused)| {
            Signal::Outcomes(Outcomes { established, refused, ..Outcomes::default() })
        }),
    ]
}

fn told() -> impl Strategy<Value = Told> {
    prop_oneof![
        6 => (0u8..8, signal()).prop_map(|(to, signal)| Told::Signal(to, signal)),
        1 => (0u8..8).prop_map(Told::Nodes),
        1 => (0usize..2, any::<u8>()).prop_map(|(at, accused)| Told::Accused(at, accused)),
    ]
}

fn tell(tracker: &mut Tracker, now: u64, told: &Told) {
    match told {
        Told::Signal(to, signal) => tracker.signal(seconds(now), backend(*to), signal.clone()),
        Told::Nodes(nodes) => {
            let nodes = (0..3).filter(|bit| nodes & 1 << bit != 0);
            tracker.set_nodes(seconds(now), nodes.map(down));
        }
        Told::Accused(at, bits) => {
            let mut health = match at {
                0 => governed(0..6, |policy| policy.probe = Some(probe())),
                _ => governed(2..8, |policy| policy.max_ejected_percent = percent(40)),
            };
            health.monitored = (0..8).filter(|bit| bits & 1 << bit != 0).map(accused).collect();
            tracker.set_service(seconds(now), &service(&format!("s{at}")), &health);
        }
    }
}

/// Of two states that replace each other, the later one counts: keeps one of each.
fn one_each(told: Vec<Told>) -> Vec<Told> {
    let state = |told: &Told| match told {
        Told::Signal(..) => None,
        Told::Nodes(_) => Some(2),
        Told::Accused(at, _) => Some(*at),
    };
    let mut seen = std::collections::BTreeSet::new();
    told.into_iter().filter(|told| state(told).is_none_or(|state| seen.insert(state))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn signals_of_one_instant_come_to_the_same(
        instants in vec((0u64..50, vec(told(), 0..10)), 1..8),
        seed in any::<prop::sample::Index>(),
    ) {
        let mut trackers = [Tracker::new(), Tracker::new()];
        for tracker in &mut trackers {
            tracker.set_service(seconds(0), &service("plain"), &of([0, 7]));
            for at in 0..2 {
                tell(tracker, 0, &Told::Accused(at, 0));
            }
        }
        let mut now = 0;
        for (pause, told) in instants {
            now += pause + 1;
            let mut told = one_each(told);
            for one in &told {
                tell(&mut trackers[0], now, one);
            }
            if !told.is_empty() {
                let by = seed.index(told.len());
                told.rotate_left(by);
                told.reverse();
            }
            for one in &told {
                tell(&mut trackers[1], now, one);
            }
            let [one, other] = &mut trackers;
            prop_assert_eq!(one.changes(seconds(now)), other.changes(seconds(now)));
            prop_assert_eq!(one.next(), other.next());
            let ejections = |tracker: &Tracker| tracker.ejections(seconds(now)).collect::<Vec<_>>();
            prop_assert_eq!(ejections(one), ejections(other));
        }
    }
}
