//! What the maps hold, as a change that makes other maps hold the same.

use std::sync::Arc;

use etm_abi as abi;

use super::{Ledger, name::service_port};
use crate::{
    plan::{Delta, FrontendKey, Member, PlannedFrontend},
    policy::Weight,
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
        if record.members > 0 {
            for id in self.tables.get(record.table)?.backends.iter() {
                let backend = self.backends.key(*id)?;
                let pod = self.backends.pod(*id);
                pool.push(Member { backend, pod, weight: Weight::default() });
            }
        }
        Some(PlannedFrontend {
            service: Arc::new(service_port(self.services.name(record.service)?)?),
            pool: pool.into(),
            sources: (record.flags & abi::FRONTEND_SOURCES != 0)
                .then(|| self.sources.of(key).into_iter().flatten().copied().collect()),
            node_only: record.flags & abi::FRONTEND_NODE_ONLY != 0,
            errno: record.errno,
            balancing: None,
        })
    }
}
