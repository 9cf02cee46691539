use std::collections::{BTreeMap, btree_map::Entry};

use super::{claim::Rank, draft::Draft, options::Options};
use crate::{plan::Plan, snapshot::Snapshot};

/// The Plan of a Snapshot: the same for the same input, whatever went before.
///
/// This is what a [`super::Planner`] must arrive at by any way.
#[must_use]
pub fn compile(snapshot: &Snapshot, options: &Options) -> Plan {
    let drafts: BTreeMap<_, _> = snapshot
        .services
        .iter()
        .map(|(name, service)| {
            let slices = snapshot.slices.get(name);
            let draft = Draft::new(service, slices, &snapshot.node, options);
            (draft.rank.clone(), draft)
        })
        .collect();

    let mut plan = Plan::default();
    let mut owners: BTreeMap<_, &Rank> = BTreeMap::new();
    let mut problems = BTreeMap::new();
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
        told.sort_unstable();
        problems.insert(&rank.name, told);
    }
    plan.problems = problems.into_values().flatten().collect();
    plan
}
