//! What one agent leaves, the next takes over; whatever is wrong with it is mended.

use std::collections::BTreeSet;

use etm_abi as abi;
use etm_model::{Change, Contents, Delta, GRACE, Ledger, Limits, Plan, Planner, Step};
use proptest::{collection::vec, prelude::*, sample::Index};

use crate::{
    cluster::{service, slice},
    completeness::{happen, happening, refusing},
    kernel::{AMPLE, Kernel},
};

/// One thing that is wrong with what is read back.
#[derive(Clone, Debug)]
pub(crate) enum Corruption {
    Slot(Index, u32),
    Backend(Index, abi::Backend),
    BackendName(u32, String),
    ServiceName(Index, Option<String>),
    Frontend(Index, abi::Frontend),
    /// One frontend leads to the table of another.
    Swap(Index, Index),
}

fn number() -> impl Strategy<Value = u32> {
    prop_oneof![0..8_u32, 0..1100_u32, any::<u32>()]
}

pub(crate) fn corruption() -> impl Strategy<Value = Corruption> {
    let frontend = (number(), number(), number(), number(), any::<(u16, u16)>()).prop_map(
        |(service, table, members, generation, (errno, flags))| abi::Frontend {
            service,
            table,
            members,
            generation,
            errno,
            flags,
        },
    );
    let backend = (any::<abi::Address>(), any::<(u16, u8)>(), 0..3_u8, 0..2_u32).prop_map(
        |(address, (port, protocol), state, reserved)| abi::Backend {
            address,
            port,
            protocol,
            state,
            incarnation: reserved,
            ..abi::Backend::default()
        },
    );
    let index = any::<Index>;
    prop_oneof![
        (index(), number()).prop_map(|(at, id)| Corruption::Slot(at, id)),
        (index(), backend).prop_map(|(at, backend)| Corruption::Backend(at, backend)),
        (0..300_u32, ".{1,4}").prop_map(|(id, name)| Corruption::BackendName(id, name)),
        (index(), proptest::option::of(".{0,4}"))
            .prop_map(|(at, name)| Corruption::ServiceName(at, name)),
        (index(), frontend).prop_map(|(at, frontend)| Corruption::Frontend(at, frontend)),
        (index(), index()).prop_map(|(from, to)| Corruption::Swap(from, to)),
    ]
}

pub(crate) fn corrupt(kernel: &mut Kernel, it: Corruption) {
    let maps = &mut kernel.maps;
    let keys: Vec<_> = maps.frontends.keys().copied().collect();
    match it {
        Corruption::Slot(at, id) => *at.get_mut(&mut maps.slots[..64]) = id,
        Corruption::Backend(at, backend) => *at.get_mut(&mut maps.backends[..32]) = backend,
        Corruption::BackendName(id, name) => {
            maps.backend_names.insert(id, name);
        }
        Corruption::ServiceName(at, name) => {
            let id = u32::try_from(at.index(16)).unwrap();
            match name {
                Some(name) => maps.service_names.insert(id, name),
                None => maps.service_names.remove(&id),
            };
        }
        Corruption::Frontend(at, frontend) => {
            if !keys.is_empty() {
                maps.frontends.insert(*at.get(&keys), frontend);
            }
        }
        Corruption::Swap(from, to) => {
            if !keys.is_empty() {
                let frontend = maps.frontends[from.get(&keys)];
                maps.frontends.insert(*to.get(&keys), frontend);
            }
        }
    }
}

proptest! {
    #[test]
    fn the_next_agent_finds_nothing_to_do(story in vec(happening(), 1..12)) {
        let mut kernel = Kernel::new(AMPLE);
        let mut planner = refusing();
        let mut plan = Plan::default();
        for it in story {
            happen(&mut kernel, &mut planner, &mut plan, it);
        }
        let mut next = Ledger::adopt(kernel.maps.contents(), AMPLE, 1);
        let reconciled = next.reconcile(&plan, kernel.now);
        prop_assert_eq!(&reconciled.steps, &[]);
        prop_assert_eq!(reconciled.report.unchanged, plan.frontends.len());

        kernel.settle();
        kernel.restart();
        prop_assert_eq!(kernel.reconcile(&plan).report.backends_retired, 0);
        prop_assert_eq!(kernel.ledger.next_expiry(), None);
    }

    #[test]
    fn whatever_is_wrong_is_mended(
        story in vec(happening(), 1..8),
        corruptions in vec(corruption(), 1..6),
        gone in any::<bool>(),
    ) {
        let mut kernel = Kernel::new(AMPLE);
        let mut planner = refusing();
        let mut plan = Plan::default();
        for it in story {
            happen(&mut kernel, &mut planner, &mut plan, it);
        }
        // Where a held frontend is broken, it must go: what it names may be given to others.
        plan.held.clear();
        for it in corruptions {
            corrupt(&mut kernel, it);
        }
        if gone {
            plan.frontends.clear();
        }
        let contents: Contents = kernel.maps.contents();
        kernel.ledger = Ledger::adopt(contents, AMPLE, 1 << 31);
        // Not while programs look on: what they would see is broken to begin with.
        let now = kernel.now + GRACE;
        for step in kernel.ledger.reconcile(&plan, now).steps {
            kernel.maps.apply(&step).unwrap();
        }
        kernel.now = now;
        kernel.restart();
        kernel.reconcile(&plan);
        kernel.holds(&plan);
        kernel.settle();
        kernel.holds(&plan);

        let mut used = BTreeSet::new();
        for frontend in kernel.maps.frontends.values() {
            used.extend(kernel.place(frontend).1.concat());
        }
        let left = kernel.maps.contents();
        prop_assert_eq!(left.backends.keys().copied().collect::<BTreeSet<_>>(), used);
        prop_assert!(left.backend_names.keys().all(|id| left.backends.contains_key(id) || *id >= AMPLE.backends));
    }
}

/// Maps of one Service with two members, and its Plan.
fn served() -> (Kernel, Planner) {
    let mut planner = refusing();
    let mut kernel = Kernel::new(AMPLE);
    kernel.apply(&planner.change([
        Change::SetService(service("cart", &["10.0.0.1"])),
        Change::SetSlice(slice("cart", "one", &["10.1.0.1", "10.1.0.2"])),
    ]));
    (kernel, planner)
}

#[test]
fn what_was_broken_is_counted_as_repaired() {
    let (mut kernel, planner) = served();
    kernel.maps.slots[1] = 77;
    let mut next = Ledger::adopt(kernel.maps.contents(), AMPLE, 1);
    let report = next.reconcile(planner.plan(), kernel.now).report;
    // The frontend for every other port of the address has no members to break.
    assert_eq!((report.repaired, report.changed, report.unchanged), (1, 0, 1));
}

#[test]
fn a_broken_frontend_is_not_held() {
    let (mut kernel, planner) = served();
    let mut plan = planner.plan().clone();
    let hold: BTreeSet<_> = plan.frontends.keys().copied().collect();
    plan.apply(&Delta { hold, ..Delta::default() });
    let sound = Ledger::adopt(kernel.maps.contents(), AMPLE, 1).reconcile(&plan, kernel.now);
    assert_eq!(sound.steps, []);

    kernel.maps.slots[1] = 77;
    let broken = Ledger::adopt(kernel.maps.contents(), AMPLE, 1).reconcile(&plan, kernel.now);
    assert!(matches!(*broken.steps, [Step::RemoveFrontend { .. }]), "{:?}", broken.steps);
}

#[test]
fn generations_go_around_without_repeating_the_last() {
    let (mut kernel, mut planner) = served();
    for frontend in kernel.maps.frontends.values_mut() {
        frontend.generation = u32::MAX;
    }
    kernel.ledger = Ledger::adopt(kernel.maps.contents(), AMPLE, u32::MAX);
    kernel.apply(&planner.change([Change::SetSlice(slice("cart", "one", &["10.1.0.1"]))]));
    let mut generations: Vec<_> =
        kernel.maps.frontends.values().map(|frontend| frontend.generation).collect();
    generations.sort_unstable();
    assert_eq!(generations, [0, u32::MAX]);
}

#[test]
fn a_broken_frontend_that_cannot_be_mended_is_removed() {
    let (mut kernel, planner) = served();
    kernel.maps.slots[1] = 77;
    let limits = Limits { slots: 0, ..AMPLE };
    let mut next = Ledger::adopt(kernel.maps.contents(), limits, 1);
    let reconciled = next.reconcile(planner.plan(), kernel.now);
    assert!(matches!(*reconciled.steps, [Step::RemoveFrontend { .. }]), "{:?}", reconciled.steps);
    assert_eq!(reconciled.problems.len(), 1);
}
