//! What the maps hold, as a change that makes other maps hold the same.

use std::sync::Arc;

use etm_abi as abi;

use super::{Ledger, name::service_port};
use crate::{
    balance::planned,
    plan::{Delta, FrontendKey, Member, PlannedFrontend},
    policy::Weight,
    refusal::Stale,
};

impl Ledger {
    /// Every frontend that leads to a complete table, for maps of other sizes to take over.
    #[must_use]
    pub fn carried(&self) -> Delta {
        let sound = self.frontends.iter().filter(|(_, entry)| !entry.broken);
        let set = sound.filter_map(|(key, entry)| Some((*key, self.planned(key, &entry.record)?)));
        Delta { set: set.collect(), ..Delta::default() }
    }

    /// What made a frontend what it is.
    fn planned(&self, key: &FrontendKey, record: &abi::Frontend) -> Option<PlannedFrontend> {
        let mut pool = Vec::new();
        let mut balancing = None;
        if record.members > 0 {
            let table = self.tables.get(record.table)?;
            let mut candidates = table.balance.iter().flat_map(|one| one.candidates.iter());
            for id in table.backends.iter() {
                let backend = self.backends.key(*id)?;
                let pod = self.backends.pod(*id);
                let weight = candidates.next().map_or(1, |candidate| candidate.weight());
                pool.push(Member { backend, pod, weight: Weight::new(weight)? });
            }
            if let Some(balance) = &table.balance {
                balancing = Some(Arc::new(planned(&balance.header)?));
            }
        }
        Some(PlannedFrontend {
            service: Arc::new(service_port(self.services.name(record.service)?)?),
            pool: pool.into(),
            sources: (record.flags & abi::FRONTEND_SOURCES != 0)
                .then(|| self.sources.of(key).into_iter().flatten().copied().collect()),
            node_only: record.flags & abi::FRONTEND_NODE_ONLY != 0,
            errno: record.errno,
            anyway: record.flags & abi::FRONTEND_ANYWAY != 0,
            elsewhere: record.flags & abi::FRONTEND_ELSEWHERE != 0,
            balancing,
            // No map holds these; they are for who judges backends, not for maps.
            health: None,
            ejected: Arc::default(),
            stale: Stale::Keep,
            route: None,
        })
    }
}
