//! What holds whatever happens.

use etm_health::{Record, State};
use proptest::prelude::*;

use crate::{
    kernel::{BACKENDS, Happening, SERVICES, World, history},
    world::{backend, percent, seconds},
};

/// Of each pool of a Service: how many members get no connections, or few; of how many.
fn out(world: &World, at: usize) -> Vec<(u32, u32)> {
    let pools = world.services[at].pools.iter().map(|pool| {
        let records = pool.iter().map(|member| world.record(member.backend));
        let out = records.filter(|record| !matches!(record, Record::Available { .. }));
        (out.count() as u32, pool.len() as u32)
    });
    pools.collect()
}

fn share(world: &World, at: usize) -> etm_model::Percent {
    let health = &world.services[at];
    match &health.policy {
        Some(policy) => policy.max_ejected_percent,
        None if health.publish_not_ready => percent(0),
        None => percent(50),
    }
}

/// Lets everything be well again, for as long as it takes.
fn mend(world: &mut World) {
    world.happen(&Happening::Nodes(0));
    for at in 0..SERVICES {
        let share = Some(50);
        world.happen(&Happening::Service { at, members: 0xff, share, accused: 0 });
    }
    world.poll();
    for _ in 0..200 {
        world.now += seconds(10);
        for to in 0..BACKENDS {
            world.happen(&Happening::Probed { to, fine: true });
            world.happen(&Happening::Succeeds(to));
            let (established, refused) = (5, 0);
            world.happen(&Happening::Counted { to, established, refused });
        }
        world.poll();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn no_more_is_out_than_may_be(history in history()) {
        let mut world = World::new();
        for (pause, happenings) in history {
            world.now += seconds(pause);
            for happening in &happenings {
                world.happen(happening);
            }
            world.poll();
            for at in 0..SERVICES {
                let share = share(&world, at);
                for (out, members) in out(&world, at) {
                    prop_assert!(out <= share.of(members), "{out} of {members} at {share:?}");
                    let last = out == members && members > 0;
                    prop_assert!(!last || share.get() == 100, "the last one");
                }
            }
        }
    }

    #[test]
    fn none_is_out_without_a_reason(history in history()) {
        let mut world = World::new();
        for (pause, happenings) in history {
            world.now += seconds(pause);
            for happening in &happenings {
                world.happen(happening);
            }
            world.poll();
            for key in (0..BACKENDS).map(backend) {
                let Some(told) = world.tracker.verdict(world.now, &key) else { continue };
                let ejects = told.reasons.iter().any(|held| held.reason.ejects());
                let member = (0..SERVICES).any(|at| world.is_member(at, key));
                let expected = match (member, world.record(key)) {
                    (true, Record::Out) => State::Ejected,
                    (true, Record::Ejected { until, .. }) if until > world.now => State::Ejected,
                    (true, Record::Ejected { .. }) => State::Probation,
                    _ => {
                        prop_assert!(told.state < State::Probation, "{told:?}");
                        prop_assert_eq!(told.spared.is_some(), ejects && told.state == State::Suspect);
                        continue;
                    }
                };
                prop_assert_eq!(told.state, expected);
                prop_assert!(ejects, "{told:?}");
            }
        }
    }

    #[test]
    fn times_stay_within_bounds(history in history()) {
        let mut world = World::new();
        for (pause, happenings) in history {
            world.now += seconds(pause);
            let mut grown = [0; BACKENDS as usize];
            for happening in &happenings {
                if let Happening::Fails { to, .. } | Happening::Counted { to, .. } = happening {
                    grown[usize::from(*to)] += 1;
                }
            }
            let times = |world: &World| (0..BACKENDS).map(|to| {
                let told = world.tracker.verdict(world.now, &backend(to));
                told.map_or(0, |told| told.times)
            }).collect::<Vec<_>>();
            world.poll();
            let before = times(&world);
            for happening in &happenings {
                world.happen(happening);
            }
            world.poll();
            for (to, after) in times(&world).into_iter().enumerate() {
                // One that was spared before may find room now, besides.
                prop_assert!(after <= before[to] + grown[to] + 1, "{before:?} {after}");
                prop_assert!(after <= 10);
            }
            for record in world.records.values() {
                if let Record::Ejected { until, times } = record {
                    prop_assert!((1..=10).contains(times));
                    prop_assert!(*until <= world.now + seconds(300));
                }
            }
        }
    }

    #[test]
    fn all_return_once_all_is_well(history in history()) {
        let mut world = World::new();
        for (pause, happenings) in history {
            world.now += seconds(pause);
            for happening in &happenings {
                world.happen(happening);
            }
            world.poll();
        }
        mend(&mut world);
        for to in 0..BACKENDS {
            prop_assert_eq!(world.record(backend(to)), Record::Available { times: 0 });
        }
        prop_assert_eq!(world.tracker.ejections(world.now).count(), 0);
        prop_assert_eq!(world.tracker.next(), None);
    }

    #[test]
    fn asking_again_changes_nothing(history in history()) {
        let mut world = World::new();
        for (pause, happenings) in history {
            world.now += seconds(pause);
            for happening in &happenings {
                world.happen(happening);
            }
            world.poll();
            let again = world.tracker.changes(world.now);
            prop_assert!(again.is_empty(), "{again:?}");
            if let Some(next) = world.tracker.next() {
                prop_assert!(next > world.now);
            }
        }
    }
}
