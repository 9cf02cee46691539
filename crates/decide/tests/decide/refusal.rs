//! A connection is refused only where no member is usable.

use etm_abi::{MAX_MEMBERS, Target};
use etm_decide::pick;
use proptest::{collection::vec, prelude::*};

use crate::memory::Memory;

proptest! {
    #[test]
    fn only_where_no_member_is_usable(
        first in 0..64_u32,
        members in vec((0..200_u32, prop::bool::weighted(0.1)), 0..200),
        random in any::<u32>(),
    ) {
        let ids: Vec<_> = members.iter().map(|(id, _)| *id).collect();
        let available: Vec<_> =
            members.iter().filter(|(_, usable)| *usable).map(|(id, _)| *id).collect();
        let (memory, target) = Memory::new(first, &ids, available.iter().copied());
        match pick(&memory, target, random) {
            Some((id, backend)) => {
                prop_assert!(available.contains(&id));
                prop_assert_eq!(id, backend);
            }
            None => prop_assert_eq!(available, Vec::<u32>::new()),
        }
        prop_assert!(memory.steps.get() <= u64::from(target.members().next_power_of_two()));
    }

    #[test]
    fn the_last_usable_member_of_the_largest_table_is_found(
        last in 0..MAX_MEMBERS,
        random in any::<u32>(),
    ) {
        let ids: Vec<_> = (0..MAX_MEMBERS).collect();
        let (memory, target) = Memory::new(2, &ids, [last]);
        prop_assert_eq!(pick(&memory, target, random), Some((last, last)));
    }

    #[test]
    fn a_table_that_leaves_the_array_still_serves_from_what_lies_within(
        members in 2..40_u32,
        within in 1..40_u32,
        random in any::<u32>(),
    ) {
        let within = within.min(members - 1);
        let ids: Vec<_> = (0..within).collect();
        let (mut memory, _) = Memory::new(0, &ids, ids.iter().copied());
        memory.slots.pop();
        let backend = pick(&memory, Target::new(0, members, 0), random);
        prop_assert!(backend.is_some_and(|(id, _)| id < within));
    }

    #[test]
    fn whatever_a_target_says_the_choice_ends(
        table in any::<u32>(),
        members in prop_oneof![0..=MAX_MEMBERS, Just(MAX_MEMBERS)],
        random in any::<u32>(),
    ) {
        let (memory, _) = Memory::new(0, &[1, 2, 3], [2]);
        let target = Target::new(table, members, 0);
        let backend = pick(&memory, target, random);
        prop_assert!(backend.is_none_or(|(id, _)| memory.available.contains(&id)));
    }
}

#[test]
fn an_empty_table_refuses() {
    let (memory, target) = Memory::new(4, &[], []);
    assert_eq!(pick(&memory, target, 0), None);
}
