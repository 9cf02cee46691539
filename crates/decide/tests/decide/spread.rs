//! Connections spread evenly over the members that are usable.

use std::collections::BTreeMap;

use etm_decide::{pick, random};

use crate::memory::Memory;

/// Furthest that the share of one usable member is from an even share, as a part of it, beyond
/// five standard deviations of pure chance.
fn unevenness(draws: u32, members: u32, usable: impl Fn(u32) -> bool) -> f64 {
    let ids: Vec<_> = (0..members).collect();
    let available: Vec<_> = (0..members).filter(|id| usable(*id)).collect();
    let (memory, target) = Memory::new(6, &ids, available.iter().copied());
    let mut counts: BTreeMap<u32, u32> = available.iter().map(|id| (*id, 0)).collect();
    let mut state = u64::from(members);
    for _ in 0..draws {
        let backend = pick(&memory, target, random(&mut state));
        *counts.entry(backend.map_or(u32::MAX, |(id, _)| id)).or_default() += 1;
    }
    assert_eq!(counts.len(), available.len());
    let share = f64::from(draws) / available.len() as f64;
    let chance = 5.0 / share.sqrt();
    counts
        .values()
        .map(|count| (f64::from(*count) / share - 1.0).abs() - chance)
        .fold(0.0, f64::max)
}

#[test]
fn over_all_members() {
    for members in [1, 2, 3, 7, 10, 64, 100, 1_000] {
        assert_eq!(unevenness(200_000, members, |_| true), 0.0, "{members} members");
    }
}

#[test]
fn over_the_rest_where_few_are_out() {
    for members in [3, 10, 64, 100, 1_000] {
        assert!(unevenness(200_000, members, |id| id != 1) < 0.01, "{members} members, one out");
        let tenth = members / 10;
        assert!(
            unevenness(200_000, members, |id| id >= tenth) < 0.01,
            "{members} members, a tenth out"
        );
    }
}

#[test]
fn over_the_rest_where_half_is_out_in_a_row() {
    for members in [4, 10, 64, 100, 1_000] {
        let unevenness = unevenness(200_000, members, |id| id >= members / 2);
        assert!(unevenness < 0.01, "{members} members: {unevenness}");
    }
}

#[test]
fn over_the_rest_where_most_are_out_in_a_row() {
    for members in [20, 64, 100, 1_000] {
        let unevenness = unevenness(200_000, members, |id| id >= members - members / 10);
        println!("{members} {unevenness}");
        assert!(unevenness < 0.05, "{members} members: {unevenness}");
    }
}

#[test]
fn over_any_part_of_a_small_table() {
    for members in 2..=7_u32 {
        for usable in 1..(1_u32 << members) {
            let unevenness = unevenness(20_000, members, |id| usable >> id & 1 == 1);
            assert!(unevenness < 0.01, "{members} members, {usable:b}: {unevenness}");
        }
    }
}
