//! At each step every frontend leads to a complete table, also for a program that read it before.

use std::time::Duration;

use etm_model::{Change, Delta, Options, Plan, Planner, UnknownPort};
use proptest::{collection::vec, prelude::*, sample::Index};

use crate::{
    cluster::changes,
    kernel::{AMPLE, Kernel},
};

/// Something that happens to an agent.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    Change(Vec<Change>),
    /// A frontend is to be left as it is.
    Hold(Index),
    Wait(Duration),
    Compare,
    Restart,
}

pub(crate) fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        6 => changes().prop_map(Happening::Change),
        1 => any::<Index>().prop_map(Happening::Hold),
        4 => (0..1500_u64).prop_map(|time| Happening::Wait(Duration::from_millis(time))),
        1 => Just(Happening::Compare),
        1 => Just(Happening::Restart),
    ]
}

pub(crate) fn refusing() -> Planner {
    Planner::new(Options { unknown_port: UnknownPort::Refuse, ..Options::default() })
}

pub(crate) fn happen(kernel: &mut Kernel, planner: &mut Planner, plan: &mut Plan, it: Happening) {
    match it {
        Happening::Change(changes) => {
            let delta = planner.change(changes);
            plan.apply(&delta);
            kernel.apply(&delta);
        }
        Happening::Hold(index) => {
            if plan.frontends.is_empty() {
                return;
            }
            let (key, _) = plan.frontends.iter().nth(index.index(plan.frontends.len())).unwrap();
            let delta = Delta { hold: [*key].into(), ..Delta::default() };
            let before = kernel.maps.frontends.get(key).copied();
            kernel.apply(&delta);
            assert_eq!(kernel.maps.frontends.get(key).copied(), before);
            plan.apply(&delta);
        }
        Happening::Wait(time) => kernel.wait(time),
        Happening::Compare => {
            let held: Vec<_> =
                plan.held.iter().map(|key| kernel.maps.frontends.get(key).copied()).collect();
            kernel.reconcile(plan);
            let after: Vec<_> =
                plan.held.iter().map(|key| kernel.maps.frontends.get(key).copied()).collect();
            assert_eq!(held, after);
        }
        Happening::Restart => {
            kernel.restart();
            kernel.reconcile(plan);
        }
    }
}

proptest! {
    #[test]
    fn every_frontend_leads_to_a_complete_table(story in vec(happening(), 1..16)) {
        let mut kernel = Kernel::new(AMPLE);
        let mut planner = refusing();
        let mut plan = Plan::default();
        for it in story {
            happen(&mut kernel, &mut planner, &mut plan, it);
            kernel.holds(&plan);
        }
    }

    #[test]
    fn a_generation_never_comes_again(story in vec(happening(), 1..16)) {
        let mut kernel = Kernel::new(AMPLE);
        let mut planner = refusing();
        let mut plan = Plan::default();
        let mut places = std::collections::BTreeMap::new();
        let mut owners = std::collections::BTreeMap::new();
        for it in story {
            happen(&mut kernel, &mut planner, &mut plan, it);
            for (key, frontend) in &kernel.maps.frontends {
                let place = kernel.place(frontend);
                let known = places.entry((*key, frontend.generation)).or_insert(place.clone());
                prop_assert_eq!(&*known, &place, "two tables of one generation");
                let owner = owners.entry(frontend.generation).or_insert(*key);
                prop_assert_eq!(&*owner, key, "two frontends of one generation");
            }
        }
    }
}
