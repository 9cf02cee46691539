//! Consistent hashing while Pods come and go: who need not move does not.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::thread::sleep;

use etm_model::{GRACE, Protocol as Transport};

use super::crowd::{callers_of, moved, pods};
use super::stage::{SECOND, Stage, TARGET, hash, key};
use crate::scene::{PORT, VIP4};

/// One Pod that has callers goes and comes back, then another one joins.
fn one_goes_comes_back_and_one_joins(mut stage: Stage) {
    let all = u32::try_from(stage.backends.len()).expect("a number");
    let before = stage.crowd.found(TARGET);
    let lost = before.values().next().expect("a Pod").clone();

    stage.declare(&lost, false, all - 1);
    let without = stage.crowd.found(TARGET);
    assert_eq!(moved(&before, &without), callers_of(&before, &lost), "only its own callers move");
    assert!(!pods(&without).contains(&*lost));
    stage.declare(&lost, true, all);
    assert_eq!(stage.crowd.found(TARGET), before, "they come back");

    let name = stage.another().pod.name().to_owned();
    stage.declare(&name, true, all + 1);
    let with = stage.crowd.found(TARGET);
    assert_eq!(moved(&before, &with), callers_of(&with, &name), "whoever moves, moves to it");
    stage.declare(&name, false, all);
    assert_eq!(stage.crowd.found(TARGET), before);
}

#[test]
fn what_is_remembered_of_a_table_is_not_taken_for_what_another_one_has_in_its_place() {
    let mut stage = Stage::new(4, 30, hash(&["callerPod"]));
    let first = key(VIP4, PORT, Transport::Tcp);
    let target = |stage: &Stage| stage.contents().frontends[&first].target();
    let before = (target(&stage), stage.crowd.found(TARGET));
    stage.declare("web-0", false, 3);
    // The place is free again some time after nothing leads to it.
    sleep(2 * GRACE);
    let other = stage.another().pod.name().to_owned();
    stage.declare(&other, true, 4);
    assert_eq!(target(&stage), before.0, "the place is used again");
    let found = stage.crowd.found(TARGET);
    assert!(moved(&before.1, &found).len() > callers_of(&before.1, "web-0").len());
    // Nobody has called the second port yet; who hash nothing but themselves find the same there.
    assert_eq!(stage.crowd.found(SocketAddr::new(VIP4, SECOND)), found);
}

fn bits(stage: &Stage) -> Vec<u8> {
    let contents = stage.contents();
    contents.balances.values().map(|balance| balance.header.shortlist_bits).collect()
}

#[test]
fn five_pods_which_are_compared_one_by_one() {
    let stage = Stage::new(5, 30, hash(&["callerPod"]));
    assert!(bits(&stage).iter().all(|bits| *bits == 0));
    one_goes_comes_back_and_one_joins(stage);
}

#[test]
fn twelve_pods_with_a_shortlist() {
    let stage = Stage::new(12, 60, hash(&["callerPod"]));
    assert!(bits(&stage).iter().all(|bits| *bits == 2));
    one_goes_comes_back_and_one_joins(stage);
}

/// With so many Pods none gets much more than its share, at the price of one caller in a thousand
/// that moves without need: none of these, whose addresses are always the same.
#[test]
fn forty_pods_and_callers_by_their_addresses() {
    let stage = Stage::new(40, 60, hash(&["callerAddress"]));
    assert!(bits(&stage).iter().all(|bits| *bits == 4));
    one_goes_comes_back_and_one_joins(stage);
}

#[test]
fn a_pod_that_comes_back_at_another_address_has_its_callers_again() {
    let mut stage = Stage::new(5, 30, hash(&["callerPod"]));
    let before = stage.crowd.found(TARGET);
    let lost = before.values().next().expect("a Pod").clone();
    stage.declare(&lost, false, 4);
    stage.backends.retain(|backend| backend.pod.name() != lost);
    let again = stage.scene.backend_on(&lost, &[8080, 8081]);
    stage.backends.push(again);
    stage.declare(&lost, true, 5);
    assert_eq!(stage.crowd.found(TARGET), before);
}

#[test]
fn the_last_pod_has_every_caller_and_without_it_all_are_refused() {
    let stage = Stage::new(2, 6, hash(&["callerPod"]));
    stage.declare("web-0", false, 1);
    let found = stage.crowd.found(TARGET);
    assert_eq!(pods(&found), ["web-1"].into());
    stage.declare("web-1", false, 0);
    let errors: BTreeMap<_, _> = stage
        .crowd
        .names()
        .map(|name| {
            let caller = stage.crowd.caller(name, etm_testkit::Protocol::Tcp);
            (name, caller.call(TARGET).expect("a call").errno)
        })
        .collect();
    assert!(errors.values().all(|errno| *errno == crate::scene::REFUSED), "{errors:?}");
}
