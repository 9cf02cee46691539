//! What is no longer used is kept for its grace, and then given back.

use std::{collections::BTreeMap, time::Duration};

use etm_model::{Change, GRACE, Options, Plan, Planner, Step, Usage};
use proptest::{collection::vec, prelude::*};

use crate::{
    cluster::{name, service, slice, snapshot},
    completeness::{happen, happening, refusing},
    kernel::{AMPLE, Kernel},
};

proptest! {
    #[test]
    fn everything_returns_to_empty(story in vec(happening(), 1..16)) {
        let mut kernel = Kernel::new(AMPLE);
        let mut planner = refusing();
        let mut plan = Plan::default();
        for it in story {
            happen(&mut kernel, &mut planner, &mut plan, it);
        }
        kernel.reconcile(&Plan::default());
        kernel.settle();
        prop_assert_eq!(kernel.ledger.usage(), Usage::default());
        let contents = kernel.maps.contents();
        prop_assert!(contents.frontends.is_empty());
        prop_assert!(contents.backends.is_empty());
        prop_assert_eq!(contents.backend_names, BTreeMap::new());
        prop_assert_eq!(contents.service_names, BTreeMap::new());
    }
}

fn planned(endpoints: &[&str]) -> (Planner, Kernel) {
    let mut planner = Planner::new(Options::default());
    planner.replace(snapshot(&[
        Change::SetService(service("cart", &["10.0.0.1", "10.0.0.2"])),
        Change::SetSlice(slice("cart", "one", endpoints)),
    ]));
    let mut kernel = Kernel::new(AMPLE);
    kernel.reconcile(planner.plan());
    (planner, kernel)
}

#[test]
fn a_backend_is_cleared_once_its_grace_has_passed() {
    let (mut planner, mut kernel) = planned(&["10.1.0.1", "10.1.0.2"]);
    let delta = planner.change([Change::SetSlice(slice("cart", "one", &["10.1.0.1"]))]);
    let report = kernel.apply(&delta).report;
    assert_eq!((report.changed, report.backends_added, report.backends_retired), (2, 0, 1));

    assert_eq!(kernel.ledger.next_expiry(), Some(kernel.now + GRACE));
    assert_eq!(kernel.ledger.expire(kernel.now + GRACE - Duration::from_nanos(1)), []);
    assert_eq!(kernel.maps.contents().backends.len(), 2);
    kernel.wait(GRACE);
    assert_eq!(kernel.maps.contents().backends.len(), 1);
    assert_eq!(kernel.maps.backend_names.len(), 1);
    assert_eq!(kernel.ledger.next_expiry(), None);
}

#[test]
fn grace_counts_from_when_the_steps_were_written() {
    let (mut planner, mut kernel) = planned(&["10.1.0.1", "10.1.0.2"]);
    let delta = planner.change([Change::SetSlice(slice("cart", "one", &["10.1.0.1"]))]);
    kernel.apply(&delta);
    let later = kernel.now + Duration::from_secs(7);
    kernel.ledger.written(later);
    assert_eq!(kernel.ledger.next_expiry(), Some(later + GRACE));
    kernel.settle();
    assert_eq!(kernel.ledger.usage().backends, 1);
    assert_eq!(kernel.ledger.usage().slots, 2);
}

#[test]
fn what_is_wanted_again_within_its_grace_is_not_written_again() {
    let (mut planner, mut kernel) = planned(&["10.1.0.1", "10.1.0.2"]);
    let before = kernel.maps.frontends.clone();
    let there = slice("cart", "one", &["10.1.0.1", "10.1.0.2"]);
    kernel.apply(&planner.change([Change::SetSlice(slice("cart", "one", &[]))]));
    let back = kernel.apply(&planner.change([Change::SetSlice(there)]));
    assert!(back.steps.iter().all(|step| matches!(step, Step::SetFrontend { .. })));
    for (key, frontend) in &kernel.maps.frontends {
        assert_eq!(frontend.table, before[key].table);
        assert_ne!(frontend.generation, before[key].generation);
    }
    assert_eq!(kernel.ledger.next_expiry(), None);
}

#[test]
fn frontends_of_one_pool_share_one_table() {
    let (mut planner, mut kernel) = planned(&["10.1.0.1", "10.1.0.2", "10.1.0.3"]);
    let tables: Vec<_> = kernel.maps.frontends.values().map(|frontend| frontend.table).collect();
    assert_eq!(tables, [0, 0]);
    assert_eq!(kernel.ledger.usage().slots, 4);

    let more = service("cart", &["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
    let reconciled = kernel.apply(&planner.change([Change::SetService(more)]));
    assert_eq!(reconciled.steps.len(), 1, "{:?}", reconciled.steps);
    assert_eq!(kernel.ledger.usage().slots, 4);
}

#[test]
fn a_pod_that_takes_over_an_address_gives_it_its_name() {
    let (mut planner, mut kernel) = planned(&["10.1.0.1"]);
    let mut taken = slice("cart", "one", &["10.1.0.1"]);
    taken.endpoints[0].pod = Some(name("heir"));
    let reconciled = kernel.apply(&planner.change([Change::SetSlice(taken)]));
    assert_eq!(reconciled.steps.len(), 1, "{:?}", reconciled.steps);
    assert_eq!(kernel.maps.backend_names[&0], "shop/heir");
}
