//! While a part of the state is not known, the maps keep what may be of it.

use std::collections::BTreeSet;

use etm_model::{
    Change, FrontendKey, Kept, Ledger, Limits, Listener, Plan, Planner, Protocol, Reconciled,
};
use proptest::{collection::vec, prelude::*};

use crate::{
    adoption::{corrupt, corruption},
    cluster::{changes, ip, service, slice},
    completeness::{happen, happening, refusing},
    kernel::{AMPLE, Kernel, Led},
};

impl Kernel {
    /// Every frontend with what it leads to.
    fn served(&self) -> Vec<(FrontendKey, Led)> {
        let frontends = self.maps.frontends.iter();
        frontends.map(|(key, frontend)| (*key, self.leads(frontend))).collect()
    }

    /// The agent starts anew and knows only a part of the state, of which this is the Plan.
    fn restart_knowing(&mut self, plan: &Plan) -> (Kept, Reconciled) {
        self.restart();
        let kept = Kept::new(&self.ledger, plan);
        (kept.clone(), self.reconcile_others(plan, &kept))
    }
}

proptest! {
    #[test]
    fn what_is_sound_stays_and_what_lacks_is_added(
        story in vec(happening(), 1..8),
        known in vec(changes(), 0..4),
    ) {
        let mut kernel = Kernel::new(AMPLE);
        let (mut planner, mut plan) = (refusing(), Plan::default());
        for it in story {
            happen(&mut kernel, &mut planner, &mut plan, it);
        }
        let before = kernel.maps.frontends.clone();
        let mut planner = refusing();
        planner.change(known.concat());
        let (_, reconciled) = kernel.restart_knowing(planner.plan());
        prop_assert_eq!(reconciled.report.kept, before.len());
        for (key, frontend) in &before {
            prop_assert_eq!(kernel.maps.frontends.get(key), Some(frontend));
        }
        for (key, planned) in &planner.plan().frontends {
            prop_assert!(before.contains_key(key) || kernel.is_as_planned(key, planned));
        }
        let all = before.len() + reconciled.report.added;
        prop_assert_eq!(kernel.maps.frontends.len(), all);
    }

    #[test]
    fn maps_of_another_size_take_over_what_there_was(story in vec(happening(), 1..8)) {
        let mut kernel = Kernel::new(AMPLE);
        let (mut planner, mut plan) = (refusing(), Plan::default());
        for it in story {
            happen(&mut kernel, &mut planner, &mut plan, it);
        }
        kernel.restart();
        let mut next = Kernel::new(Limits { slots: 2048, ..AMPLE });
        next.apply(&kernel.ledger.carried());
        prop_assert_eq!(next.served(), kernel.served());
        let named = |kernel: &Kernel| kernel.maps.service_names.values().cloned().collect();
        let (here, there): (BTreeSet<_>, BTreeSet<_>) = (named(&next), named(&kernel));
        prop_assert!(here.is_subset(&there));
        // What the Plan knows of it is found to be right.
        plan.held.clear();
        let known = next.reconcile(&plan).report;
        prop_assert_eq!((known.unchanged, known.added + known.changed), (plan.frontends.len(), 0));
    }

    #[test]
    fn nothing_that_is_broken_is_kept(
        story in vec(happening(), 1..8),
        corruptions in vec(corruption(), 1..6),
        known in vec(changes(), 0..4),
    ) {
        let mut kernel = Kernel::new(AMPLE);
        let (mut planner, mut plan) = (refusing(), Plan::default());
        for it in story {
            happen(&mut kernel, &mut planner, &mut plan, it);
        }
        for it in corruptions {
            corrupt(&mut kernel, it);
        }
        let mut planner = refusing();
        planner.change(known.concat());
        let mut ledger = Ledger::adopt(kernel.maps.contents(), AMPLE, 1 << 31);
        let kept = Kept::new(&ledger, planner.plan());
        for step in ledger.reconcile_others(planner.plan(), &kept, kernel.now).steps {
            kernel.maps.apply(&step).unwrap();
        }
        let after = Ledger::adopt(kernel.maps.contents(), AMPLE, 1 << 31);
        let sound: BTreeSet<_> = after.sound().collect();
        let all: BTreeSet<_> = kernel.maps.frontends.keys().copied().collect();
        prop_assert_eq!(sound, all);
    }

    #[test]
    fn what_changed_meanwhile_survives_a_failed_write_and_the_rest_follows_in_the_end(
        story in vec(happening(), 1..8),
        known in vec(changes(), 0..4),
        meanwhile in vec(changes(), 1..4),
        last in changes(),
    ) {
        let mut kernel = Kernel::new(AMPLE);
        let (mut planner, mut plan) = (refusing(), Plan::default());
        for it in story {
            happen(&mut kernel, &mut planner, &mut plan, it);
        }
        let mut planner = refusing();
        planner.change(known.concat());
        let (mut kept, _) = kernel.restart_knowing(planner.plan());
        let mut applied = kernel.clone();
        for changes in meanwhile {
            let delta = planner.change(changes);
            applied.apply(&kept.admit(delta));
        }
        // The other never got those written, and reads back what it has.
        kernel.restart();
        kernel.reconcile_others(planner.plan(), &kept);
        prop_assert_eq!(kernel.served(), applied.served());

        planner.change(last);
        applied.reconcile(planner.plan());
        applied.holds(planner.plan());
    }
}

fn vip(address: &str) -> FrontendKey {
    FrontendKey { ip: ip(address), listener: Listener::Port(80, Protocol::Tcp) }
}

/// Maps that serve `cart` on 10.0.0.1 and `web` on 10.0.0.2, with two members each.
fn served() -> Kernel {
    let mut kernel = Kernel::new(AMPLE);
    kernel.apply(&refusing().change([
        Change::SetService(service("cart", &["10.0.0.1"])),
        Change::SetSlice(slice("cart", "one", &["10.1.0.1", "10.1.0.2"])),
        Change::SetService(service("web", &["10.0.0.2"])),
        Change::SetSlice(slice("web", "one", &["10.1.0.3", "10.1.0.4"])),
    ]));
    kernel
}

/// How many members a frontend has.
fn members(kernel: &Kernel, address: &str) -> Option<u32> {
    kernel.maps.frontends.get(&vip(address)).map(|frontend| frontend.members)
}

/// Takes changes in as an agent does whose state is incomplete.
fn change(kernel: &mut Kernel, planner: &mut Planner, kept: &mut Kept, changes: &[Change]) {
    let delta = planner.change(changes.to_vec());
    kernel.apply(&kept.admit(delta));
}

#[test]
fn a_service_without_known_members_does_not_begin_to_refuse() {
    let mut kernel = served();
    let mut planner = refusing();
    planner.change([Change::SetService(service("cart", &["10.0.0.1"]))]);
    let (mut kept, _) = kernel.restart_knowing(planner.plan());
    let both = |kernel: &Kernel| (members(kernel, "10.0.0.1"), members(kernel, "10.0.0.2"));
    assert_eq!(both(&kernel), (Some(2), Some(2)));
    // The file of the other Service is mended before that of its members.
    let web = Change::SetService(service("web", &["10.0.0.2"]));
    change(&mut kernel, &mut planner, &mut kept, &[web]);
    assert_eq!(both(&kernel), (Some(2), Some(2)));
    let slice = Change::SetSlice(slice("web", "one", &["10.1.0.5"]));
    change(&mut kernel, &mut planner, &mut kept, &[slice]);
    assert_eq!(both(&kernel), (Some(2), Some(1)));
    // Once they were known, to have none is as good a word as any.
    let none = Change::RemoveSlice(crate::cluster::name("web"), "one".into());
    change(&mut kernel, &mut planner, &mut kept, &[none]);
    assert_eq!(both(&kernel), (Some(2), Some(0)));
    kernel.reconcile(planner.plan());
    kernel.holds(planner.plan());
}

#[test]
fn a_service_that_is_known_and_goes_is_not_kept() {
    let mut kernel = served();
    let mut planner = refusing();
    planner.change([
        Change::SetService(service("cart", &["10.0.0.1"])),
        Change::SetSlice(slice("cart", "one", &["10.1.0.1"])),
    ]);
    let (mut kept, reconciled) = kernel.restart_knowing(planner.plan());
    assert_eq!(reconciled.steps, []);
    let gone = Change::RemoveService(crate::cluster::name("cart"));
    change(&mut kernel, &mut planner, &mut kept, &[gone]);
    assert_eq!((members(&kernel, "10.0.0.1"), members(&kernel, "10.0.0.2")), (None, Some(2)));
    kernel.restart();
    kernel.reconcile_others(planner.plan(), &kept);
    assert_eq!((members(&kernel, "10.0.0.1"), members(&kernel, "10.0.0.2")), (None, Some(2)));
    kernel.reconcile(planner.plan());
    assert_eq!(members(&kernel, "10.0.0.2"), None);
}
