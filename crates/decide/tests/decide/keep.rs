//! A socket keeps its backend while that is usable and a member.

use etm_abi::{Class, UdpFlow};
use etm_decide::keep;
use proptest::{collection::vec, prelude::*};

use crate::memory::Memory;

/// Of the frontend's present table.
const GENERATION: u32 = 7;

proptest! {
    #[test]
    fn while_it_is_usable_and_a_member(
        members in vec(0..30_u32, 0..30),
        available in vec(0..30_u32, 0..30),
        backend in 0..30_u32,
    ) {
        let (memory, target) = Memory::new(2, &members, available.iter().copied());
        // Of an earlier table: membership is not known.
        let flow = UdpFlow { backend, generation: GENERATION - 1, awaited: 1, incarnation: 2 };
        let kept = keep(&memory, GENERATION, Class::of(target), flow);
        let may = members.contains(&backend) && available.contains(&backend);
        // What is awaited of the backend stays with it.
        let expected = UdpFlow { generation: GENERATION, ..flow };
        prop_assert_eq!(kept, may.then_some((expected, backend)));
    }

    #[test]
    fn a_table_that_was_checked_is_not_searched_again(
        members in vec(0..30_u32, 1..30),
        at in any::<prop::sample::Index>(),
        usable in any::<bool>(),
    ) {
        let backend = *at.get(&members);
        let (memory, target) = Memory::new(2, &members, usable.then_some(backend));
        let flow = UdpFlow { backend, generation: GENERATION, ..UdpFlow::default() };
        prop_assert_eq!(keep(&memory, GENERATION, Class::of(target), flow), usable.then_some((flow, backend)));
        prop_assert_eq!(memory.steps.get(), 0);
    }
}
