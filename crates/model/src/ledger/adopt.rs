//! From the kernel's maps, as read back, to a ledger of them.

use std::sync::Arc;

use etm_abi as abi;

use super::{Ledger, place::Entry, record, sources::Sources};
use crate::{
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
    pub fn adopt(mut contents: Contents, limits: Limits, first_generation: u32) -> Self {
        let mut ledger = Self::new(limits, first_generation);
        let mut names = std::mem::take(&mut contents.backend_names);
        for (id, backend) in &contents.backends {
            let name = names.remove(id).filter(|name| !name.is_empty());
            ledger.backends.adopt(*id, record::key(backend), name);
        }
        for (id, name) in names.into_iter().filter(|(_, name)| !name.is_empty()) {
            ledger.backends.adopt(id, None, Some(name));
        }
        for (id, name) in &contents.service_names {
            ledger.services.adopt(*id, name);
        }
        ledger.sources = Sources::adopt(std::mem::take(&mut contents.sources));
        for (key, frontend) in &contents.frontends {
            let broken = !ledger.adopt_frontend(*key, frontend, &contents);
            ledger.generation = ledger.generation.max(frontend.generation.wrapping_add(1));
            *ledger.frontends_of(*key) += 1;
            ledger.frontends.insert(*key, Entry { record: *frontend, broken });
        }
        ledger
    }

    /// Counts in what a frontend leads to; `false`, and nothing counted, where that is not complete.
    fn adopt_frontend(
        &mut self,
        key: FrontendKey,
        frontend: &abi::Frontend,
        contents: &Contents,
    ) -> bool {
        let service = frontend.service;
        if !self.services.is_named(service) {
            return false;
        }
        let adopted = if frontend.flags & abi::FRONTEND_ROUTED != 0 {
            self.adopt_route(key, frontend, contents)
        } else {
            self.adopt_table(key, service, frontend.target(), contents)
        };
        if adopted {
            self.services.hold(service, &mut self.retired);
        }
        adopted
    }

    /// Counts in one more frontend that leads to a route.
    fn adopt_route(
        &mut self,
        key: FrontendKey,
        frontend: &abi::Frontend,
        contents: &Contents,
    ) -> bool {
        let abi::Frontend { service, table: first, members: lines, .. } = *frontend;
        if let Some(route) = self.routes.get(first) {
            let table = route.table.clone();
            let same = table.lines() == lines
                && table.targets().all(|target| self.leads_on(key, service, target));
            if same {
                self.routes.hold(first);
            }
            return same;
        }
        let Some(table) = contents.routes.get(&first).filter(|table| table.lines() == lines) else {
            return false;
        };
        let mut held = Vec::new();
        let whole = table.targets().all(|target| {
            let adopted = self.adopt_table(key, service, target, contents);
            if adopted && target.members() > 0 {
                held.push(target.table());
            }
            adopted
        });
        if whole && self.routes.adopt(first, table.clone()) {
            return true;
        }
        // Whatever nothing leads to any more is retired with the first steps.
        for first in held {
            self.tables.drop_one(first);
        }
        false
    }

    /// Whether a table that was adopted is one of a Service that a frontend may lead to.
    fn leads_on(&self, key: FrontendKey, service: u32, target: abi::Target) -> bool {
        target.members() == 0
            || self.tables.get(target.table()).is_some_and(|table| {
                table.service == service && self.leads_to(key, &table.backends)
            })
    }

    /// Counts in one more that leads to a table; `false`, and nothing counted, where that is not a
    /// complete one.
    fn adopt_table(
        &mut self,
        key: FrontendKey,
        service: u32,
        target: abi::Target,
        contents: &Contents,
    ) -> bool {
        let (first, members) = (target.table(), target.members());
        let balanced = target.flags() & abi::FRONTEND_BALANCED != 0;
        let balance = contents.balances.get(&first).filter(|_| balanced);
        if balanced && (balance.is_none() || members == 0) {
            return false;
        }
        if members == 0 {
            return first == 0;
        }
        if let Some(table) = self.tables.get(first) {
            if (table.service, table.backends.len(), table.balance.is_some())
                != (service, members as usize, balanced)
                || !self.leads_to(key, &Arc::clone(&table.backends))
            {
                return false;
            }
            self.tables.hold(first, &mut self.retired);
            return true;
        }
        let Some(slots) = contents.tables.get(&(first, members)) else { return false };
        if slots.len() != members as usize
            || !self.leads_to(key, slots)
            || !self.tables.adopt(first, service, slots.as_slice().into(), balance)
        {
            return false;
        }
        self.services.add_table(service, first);
        for id in slots {
            self.backends.hold(*id, &mut self.retired);
        }
        true
    }

    /// Whether each id is that of an available backend of the frontend's protocol.
    fn leads_to(&self, key: FrontendKey, ids: &[u32]) -> bool {
        let Listener::Port(_, protocol) = key.listener else { return false };
        ids.iter().all(|id| self.backends.key(*id).is_some_and(|key| key.protocol == protocol))
    }
}
