//! What does not fit is said, and tried again when room comes free.

use std::collections::BTreeSet;

use etm_model::{Change, Limits, Options, Plan, Planner, Problem};
use proptest::{collection::vec, prelude::*};

use crate::{
    cluster::{service, slice},
    completeness::{Happening, happen, happening, refusing},
    kernel::Kernel,
};

fn limits() -> impl Strategy<Value = Limits> {
    (0..8_u32, 0..8_u32, 0..20_u32).prop_map(|(frontends, backends, slots)| Limits {
        frontends,
        backends,
        slots,
        routes: 16,
    })
}

fn objects(problems: &[Problem]) -> BTreeSet<&str> {
    problems.iter().map(|problem| problem.object.as_str()).collect()
}

proptest! {
    #[test]
    fn what_fits_is_there_and_the_rest_is_told(
        limits in limits(),
        story in vec(happening(), 1..16),
    ) {
        let mut kernel = Kernel::new(limits);
        let mut planner = refusing();
        let mut plan = Plan::default();
        for it in story {
            happen(&mut kernel, &mut planner, &mut plan, it);
            if kernel.ledger.problems().is_empty() {
                kernel.holds(&plan);
            }
        }
        kernel.settle();
        let right = plan.frontends.iter().all(|(key, planned)| kernel.is_as_planned(key, planned));
        prop_assert_eq!(right, kernel.ledger.problems().is_empty());
        // Nothing that would fit by itself is left waiting.
        let waiting = kernel.ledger.problems();
        let again = kernel.reconcile(&plan);
        prop_assert_eq!(again.steps, vec![]);
        prop_assert_eq!(objects(&again.problems), objects(&waiting));
    }

    #[test]
    fn once_there_is_room_nothing_waits(limits in limits(), changes in crate::cluster::changes()) {
        let mut kernel = Kernel::new(limits);
        let mut planner = refusing();
        let mut plan = Plan::default();
        happen(&mut kernel, &mut planner, &mut plan, Happening::Change(changes));
        kernel.apply(&etm_model::Delta {
            remove: plan.frontends.keys().copied().collect(),
            ..Default::default()
        });
        kernel.settle();
        prop_assert_eq!(kernel.ledger.problems(), vec![]);
    }
}

#[test]
fn the_problem_names_the_service_and_the_flag() {
    let cases = [
        (Limits { frontends: 0, backends: 9, slots: 9, routes: 256 }, "--max-frontends"),
        (Limits { frontends: 9, backends: 1, slots: 9, routes: 256 }, "--max-backends"),
        (Limits { frontends: 9, backends: 9, slots: 1, routes: 256 }, "--max-slots"),
    ];
    for (limits, flag) in cases {
        let mut planner = Planner::new(Options::default());
        let mut kernel = Kernel::new(limits);
        let delta = planner.change([
            Change::SetService(service("cart", &["10.0.0.1"])),
            Change::SetSlice(slice("cart", "one", &["10.1.0.1", "10.1.0.2"])),
        ]);
        let problems = kernel.apply(&delta).problems;
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].object, "Service shop/cart");
        assert!(problems[0].hint.contains(flag), "{}", problems[0]);
        assert_eq!(kernel.ledger.problems(), problems);
    }
}

#[test]
fn a_frontend_takes_the_place_of_one_removed_in_the_same_change() {
    let mut planner = Planner::new(Options::default());
    let mut kernel = Kernel::new(Limits { frontends: 1, backends: 2, slots: 2, routes: 256 });
    kernel.apply(&planner.change([
        Change::SetService(service("cart", &["10.0.0.2"])),
        Change::SetSlice(slice("cart", "one", &["10.1.0.1"])),
    ]));
    let moved = planner.change([Change::SetService(service("cart", &["10.0.0.1"]))]);
    assert_eq!(kernel.apply(&moved).problems, []);
    kernel.holds(planner.plan());
}

#[test]
fn a_change_that_does_not_fit_leaves_the_frontend_as_it_was() {
    let mut planner = Planner::new(Options::default());
    let mut kernel = Kernel::new(Limits { frontends: 2, backends: 2, slots: 4, routes: 256 });
    kernel.apply(&planner.change([
        Change::SetService(service("cart", &["10.0.0.1"])),
        Change::SetSlice(slice("cart", "one", &["10.1.0.1", "10.1.0.2"])),
    ]));
    let before = kernel.maps.frontends.clone();
    let larger = slice("cart", "one", &["10.1.0.1", "10.1.0.2", "10.1.0.3"]);
    assert_eq!(kernel.apply(&planner.change([Change::SetSlice(larger)])).problems.len(), 1);
    assert_eq!(kernel.maps.frontends, before);
}

#[test]
fn what_waits_is_tried_again_once_the_grace_of_others_has_passed() {
    let mut planner = Planner::new(Options::default());
    let mut kernel = Kernel::new(Limits { frontends: 2, backends: 1, slots: 2, routes: 256 });
    let cart = service("cart", &["10.0.0.1"]);
    kernel.apply(&planner.change([
        Change::SetService(cart.clone()),
        Change::SetSlice(slice("cart", "one", &["10.1.0.1"])),
    ]));
    let next = kernel.apply(&planner.change([
        Change::RemoveService(cart.name),
        Change::SetService(service("mail", &["10.0.0.2"])),
        Change::SetSlice(slice("mail", "one", &["10.1.0.2"])),
    ]));
    assert_eq!(next.problems.len(), 1);
    assert!(kernel.maps.frontends.is_empty());
    kernel.settle();
    assert_eq!(kernel.ledger.problems(), []);
    kernel.holds(planner.plan());
}

#[test]
fn names_of_services_that_came_and_went_at_once_take_room_until_their_grace_has_passed() {
    let mut planner = Planner::new(Options::default());
    let mut kernel = Kernel::new(Limits { frontends: 1, backends: 1, slots: 1, routes: 256 });
    for number in 0..4 {
        let this = service(&format!("cart-{number}"), &["10.0.0.1"]);
        let change = planner.change([Change::SetService(this.clone())]);
        assert_eq!(kernel.apply(&change).problems, []);
        kernel.apply(&planner.change([Change::RemoveService(this.name)]));
    }
    let next = planner.change([Change::SetService(service("mail", &["10.0.0.1"]))]);
    let problems = kernel.apply(&next).problems;
    assert_eq!(problems.len(), 1);
    assert!(problems[0].to_string().contains("all 4 names of Service ports are in use"));
    kernel.settle();
    assert_eq!(kernel.ledger.problems(), []);
    kernel.holds(planner.plan());
}
