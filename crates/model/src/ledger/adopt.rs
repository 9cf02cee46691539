//! From the kernel's maps, as read back, to a ledger of them.

use std::{collections::BTreeMap, sync::Arc};

use etm_abi as abi;

use super::{Ledger, place::Entry, record, sources::Sources};
use crate::{
    balance::TableBalance,
    plan::{FrontendKey, Listener},
    step::{Contents, Limits},
};

impl Ledger {
    /// Takes over what the kernel's maps hold, whatever it is.
    ///
    /// A frontend that leads to no complete table is mended, or removed, by the next
    /// [`Ledger::reconcile`]. What no frontend leads to is retired. `first_generation` must be
    /// larger than that of any frontend that was removed from these maps and may come back; the
    /// generations in the maps need not be considered.
    #[must_use]
    pub fn adopt(contents: Contents, limits: Limits, first_generation: u32) -> Self {
        let mut ledger = Self::new(limits, first_generation);
        let mut names = contents.backend_names;
        for (id, backend) in &contents.backends {
            let name = names.remove(id).filter(|name| !name.is_empty());
            ledger.backends.adopt(*id, record::key(backend), name);
        }
        for (id, name) in names.into_iter().filter(|(_, name)| !name.is_empty()) {
            ledger.backends.adopt(id, None, Some(name));
        }
        for (id, name) in contents.service_names {
            ledger.services.adopt(id, &name);
        }
        ledger.sources = Sources::adopt(contents.sources);
        for (key, frontend) in contents.frontends {
            let balance = contents.balances.get(&frontend.table);
            let broken = !ledger.adopt_frontend(key, &frontend, &contents.tables, balance);
            ledger.generation = ledger.generation.max(frontend.generation.wrapping_add(1));
            *ledger.frontends_of(key) += 1;
            ledger.frontends.insert(key, Entry { record: frontend, broken });
        }
        ledger
    }

    /// Counts in what a frontend leads to; `false`, and nothing counted, where that is not a
    /// complete table.
    fn adopt_frontend(
        &mut self,
        key: FrontendKey,
        frontend: &abi::Frontend,
        tables: &BTreeMap<(u32, u32), Vec<u32>>,
        balance: Option<&TableBalance>,
    ) -> bool {
        let abi::Frontend { service, table: first, members, flags, .. } = *frontend;
        let balanced = flags & abi::FRONTEND_BALANCED != 0;
        let balance = balance.filter(|_| balanced);
        if balanced && (balance.is_none() || members == 0) {
            return false;
        }
        if !self.services.is_named(service) {
            return false;
        }
        if members == 0 {
            if first != 0 {
                return false;
            }
        } else if let Some(table) = self.tables.get(first) {
            if (table.service, table.backends.len(), table.balance.is_some())
                != (service, members as usize, balanced)
                || !self.leads_to(key, &Arc::clone(&table.backends))
            {
                return false;
            }
            self.tables.hold(first, &mut self.retired);
        } else {
            let Some(slots) = tables.get(&(first, members)) else { return false };
            if members > abi::MAX_MEMBERS
                || slots.len() != members as usize
                || !self.leads_to(key, slots)
                || !self.tables.adopt(first, service, slots.as_slice().into(), balance)
            {
                return false;
            }
            self.services.add_table(service, first);
            for id in slots {
                self.backends.hold(*id, &mut self.retired);
            }
        }
        self.services.hold(service, &mut self.retired);
        true
    }

    /// Whether each id is that of an available backend of the frontend's protocol.
    fn leads_to(&self, key: FrontendKey, ids: &[u32]) -> bool {
        let Listener::Port(_, protocol) = key.listener else { return false };
        ids.iter().all(|id| self.backends.key(*id).is_some_and(|key| key.protocol == protocol))
    }
}
