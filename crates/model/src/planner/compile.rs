use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

use super::{claim::Rank, draft::Draft, health, options::Options, policy, route};
use crate::{plan::Plan, snapshot::Snapshot};

/// The Plan of a Snapshot: the same for the same input, whatever went before.
///
/// This is what a [`super::Planner`] must arrive at by any way.
#[must_use]
pub fn compile(snapshot: &Snapshot, options: &Options) -> Plan {
    let drafts: BTreeMap<_, _> = snapshot
        .services
        .values()
        .map(|service| {
            let draft = Draft::new(service, snapshot, options);
            (draft.rank.clone(), draft)
        })
        .collect();

    let mut plan = Plan::default();
    let mut owners: BTreeMap<_, &Rank> = BTreeMap::new();
    let mut health_checks: BTreeMap<u16, (&Rank, _)> = BTreeMap::new();
    let mut problems: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for service in snapshot.policies.keys() {
        problems.entry(service).or_default().extend(policy::problems(service, snapshot));
    }
    for service in snapshot.routing.targets() {
        problems.entry(service).or_default().extend(route::problems(service, snapshot));
    }
    // The oldest first, so that whoever finds a frontend taken has lost it.
    for (rank, draft) in &drafts {
        let mut told = draft.problems.clone();
        for claim in &draft.claims {
            match owners.entry(claim.key) {
                Entry::Occupied(winner) => told.extend(claim.lost(rank, winner.get())),
                Entry::Vacant(vacant) => {
                    vacant.insert(rank);
                    match &claim.frontend {
                        Some(frontend) => {
                            plan.frontends.insert(claim.key, frontend.clone());
                        }
                        None => {
                            plan.held.insert(claim.key);
                        }
                    }
                }
            }
        }
        if let Some((port, check)) = draft.health_check.as_deref() {
            match health_checks.entry(*port) {
                Entry::Occupied(winner) => told.push(health::lost(*port, rank, winner.get().0)),
                Entry::Vacant(vacant) => {
                    vacant.insert((rank, check.clone()));
                }
            }
        }
        problems.entry(&rank.name).or_default().append(&mut told);
    }
    problems.values_mut().for_each(|told| told.sort_unstable());
    let checks = health_checks.into_iter().map(|(port, (_, check))| (port, check));
    plan.health_checks = Arc::new(checks.collect());
    plan.problems = problems.into_values().flatten().collect();
    plan
}
