//! What must stay while parts of the cluster's state are not known.

use std::collections::BTreeMap;

use crate::{
    ledger::Ledger,
    plan::{Delta, FrontendKey, Plan},
};

/// Frontends that the kernel's maps held at the start and that no change has spoken of since.
///
/// For as long as a part of the state has never been read, the Plan lacks what is declared there:
/// a frontend that is not in it may be wanted all the same, and one without members may have some.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// With whether the Plan ever had members for it.
    frontends: BTreeMap<FrontendKey, bool>,
}

impl Kept {
    /// Every frontend of the maps that leads to a complete table, with the Plan of what is known.
    #[must_use]
    pub fn new(ledger: &Ledger, plan: &Plan) -> Self {
        let has_members =
            |key| plan.frontends.get(&key).is_some_and(|planned| !planned.pool.is_empty());
        Self { frontends: ledger.sound().map(|key| (key, has_members(key))).collect() }
    }

    /// Whether this frontend is left as it is.
    #[must_use]
    pub fn contains(&self, key: &FrontendKey) -> bool {
        self.frontends.contains_key(key)
    }

    /// What of a change counts now. What it names is not kept any longer, but for frontends that
    /// it would make refuse although nothing was ever known of their members.
    #[must_use]
    pub fn admit(&mut self, mut delta: Delta) -> Delta {
        delta.set.retain(|key, planned| {
            !(planned.pool.is_empty() && self.frontends.get(key) == Some(&false))
        });
        for key in delta.set.keys().chain(&delta.remove).chain(&delta.hold) {
            self.frontends.remove(key);
        }
        delta
    }
}
