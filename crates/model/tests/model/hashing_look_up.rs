//! What the kernel finds in the table that is made for it, with members that are out.

use std::collections::BTreeSet;

use etm_abi::{Balancing, Candidate, POSITIONS, Target};
use etm_decide::{Line, Tables, balance};
use etm_model::{hashing::owners, testing::HashedTable};
use proptest::{collection::btree_set, prelude::*};

use crate::hashing::{candidates, equal, mixed};

/// `SLOTS` in plain memory with one table, and what is before and behind it.
struct Memory {
    words: Vec<u64>,
    target: Target,
    balancing: Balancing,
    out: BTreeSet<u32>,
}

/// The id of a member's backend.
fn id(member: usize) -> u32 {
    100_000 - u32::try_from(member).unwrap()
}

impl Memory {
    fn new(candidates: &[Candidate], out: impl IntoIterator<Item = usize>) -> Self {
        let id_of = |member: u32| u64::from(id(member as usize));
        let HashedTable { words, target, balancing, .. } = HashedTable::new(candidates, 7, id_of);
        Self { words, target, balancing, out: out.into_iter().map(id).collect() }
    }

    fn best(&self, position: u32) -> Option<u32> {
        balance::best(self, self.target, &self.balancing, position)
    }

    fn at(&self, position: u32) -> Option<u32> {
        balance::at(self, self.target, &self.balancing, position)
    }
}

impl Tables for Memory {
    type Backend = ();
    type Line = Line;

    fn line(&self, index: u32) -> Option<Line> {
        self.words.as_chunks().0.get(index as usize).copied()
    }

    fn available(&self, backend: u32) -> Option<()> {
        (!self.out.contains(&backend)).then_some(())
    }

    fn connections(&self, _backend: u32) -> u32 {
        0
    }

    fn search<P: FnMut(u32) -> Option<u32>>(&self, count: u32, probe: P) -> Option<u32> {
        (0..count).find_map(probe)
    }
}

/// Compares one in `step` positions.
fn finds_the_owners(candidates: &[Candidate], step: usize) {
    let memory = Memory::new(candidates, []);
    for (position, owner) in (0..).zip(owners(candidates)).step_by(step) {
        let owner = id(owner.into());
        assert_eq!(memory.best(position), Some(owner), "{} members", candidates.len());
    }
}

#[test]
fn the_owner_is_found_where_the_way_to_it_changes() {
    for weight in [equal as fn(usize) -> u16, mixed] {
        for members in [1, 2, 3, 4, 8, 9, 31, 32, 33, 34, 128, 129, 256, 257, 300, 512, 513] {
            finds_the_owners(&candidates(6, members, weight), 1);
        }
    }
}

#[test]
fn the_owner_is_found_among_a_thousand() {
    finds_the_owners(&candidates(7, 1_000, equal), 13);
    finds_the_owners(&candidates(7, 1_000, mixed), 13);
}

#[test]
fn the_owner_is_found_in_groups_that_fill_a_line() {
    finds_the_owners(&candidates(7, 1_500, equal), 29);
    finds_the_owners(&candidates(7, 1_500, mixed), 29);
}

#[test]
fn the_owner_is_found_among_five_thousand() {
    finds_the_owners(&candidates(7, 5_000, equal), 61);
}

#[test]
fn the_owner_is_found_among_thousands_with_weights() {
    finds_the_owners(&candidates(7, 2_500, mixed), 61);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn the_owner_is_found(set in 0_usize..1_000, members in 1_usize..=300, heavy: bool) {
        finds_the_owners(&candidates(set, members, if heavy { mixed } else { equal }), 1);
    }

    #[test]
    fn who_is_out_gives_what_it_has_to_those_who_would_have_it_without_it(
        set in 0_usize..1_000,
        members in 2_usize..=32,
        heavy: bool,
        out in btree_set(0_usize..32, 1..4),
    ) {
        let all = candidates(set, members, if heavy { mixed } else { equal });
        let out: BTreeSet<usize> = out.into_iter().filter(|one| *one < members).collect();
        prop_assume!(out.len() < members);
        let left: Vec<_> = (0..members).filter(|one| !out.contains(one)).collect();
        let rest: Vec<_> = left.iter().map(|one| all[*one]).collect();
        let heirs = owners(&rest);
        let mut memory = Memory::new(&all, out.iter().copied());
        for (position, owner) in (0..POSITIONS).zip(owners(&all)) {
            let found = memory.at(position);
            prop_assert_eq!(found, Some(id(left[usize::from(heirs[position as usize])])));
            if !out.contains(&owner.into()) {
                prop_assert_eq!(found, Some(id(owner.into())), "one moved that was not out");
            }
        }
        memory.out.clear();
        for (position, owner) in (0..POSITIONS).zip(owners(&all)) {
            prop_assert_eq!(memory.at(position), Some(id(owner.into())), "one did not come back");
        }
    }

    #[test]
    fn nobody_else_moves_in_a_table_with_a_limit(
        set in 0_usize..1_000,
        members in 34_usize..=300,
        out in 0_usize..34,
    ) {
        let all = candidates(set, members, equal);
        let memory = Memory::new(&all, [out]);
        for (position, owner) in (0..POSITIONS).zip(owners(&all)) {
            let found = memory.at(position);
            if usize::from(owner) == out {
                prop_assert!(found.is_some_and(|found| found != id(out)));
            } else {
                prop_assert_eq!(found, Some(id(owner.into())));
            }
        }
    }
}

#[test]
fn none_is_found_where_all_are_out() {
    for members in [1, 3, 40] {
        let memory = Memory::new(&candidates(8, members, equal), 0..members);
        assert!((0..POSITIONS).step_by(97).all(|position| memory.at(position).is_none()));
    }
}
