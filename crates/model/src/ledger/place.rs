//! One frontend: from what it is to what it must be.

use std::time::Duration;

use etm_abi as abi;

use super::{
    Ledger, name::service_name, report::Report, room::Lack, room::Waiting,
    sources::wanted as sources_wanted, tables::Wanted, writes::Writes,
};
use crate::{
    object::Family,
    plan::{FrontendKey, Listener, PlannedFrontend, Pool},
    problem::Problem,
};

/// What the kernel holds under one key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) record: abi::Frontend,
    /// It leads to no complete table; nothing of what it names is counted as in use.
    pub(super) broken: bool,
}

impl Entry {
    /// First slot of its table, where it has one.
    fn table(&self) -> Option<u32> {
        (!self.broken && self.record.members > 0).then_some(self.record.table)
    }
}

/// Changes that are made together.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) now: Duration,
    pub(super) writes: Writes,
    pub(super) problems: Vec<Problem>,
    pub(super) report: Report,
}

impl Batch {
    pub(super) fn new(now: Duration) -> Self {
        Self { now, writes: Writes::default(), problems: Vec::new(), report: Report::default() }
    }
}

fn flags(planned: &PlannedFrontend, sources: bool, balanced: bool) -> u16 {
    let flag = |set, flag| if set { flag } else { 0 };
    flag(planned.node_only, abi::FRONTEND_NODE_ONLY)
        | flag(sources, abi::FRONTEND_SOURCES)
        | flag(balanced, abi::FRONTEND_BALANCED)
        | flag(planned.anyway, abi::FRONTEND_ANYWAY)
        | flag(planned.elsewhere, abi::FRONTEND_ELSEWHERE)
}

impl Ledger {
    /// Makes a frontend what it must be, or where there is no room, remembers it.
    pub(super) fn want(&mut self, key: FrontendKey, planned: &PlannedFrontend, batch: &mut Batch) {
        let Err(lack) = self.place(key, planned, batch) else {
            self.waiting.remove(&key);
            return;
        };
        // What it names may be given to others, so a broken one cannot stay. Absent, it passes to
        // whatever else handles it.
        if self.frontends.get(&key).is_some_and(|entry| entry.broken) {
            self.remove(key, batch);
        }
        let waiting = Waiting { planned: planned.clone(), lack };
        batch.problems.push(self.problem(&waiting));
        self.waiting.insert(key, waiting);
    }

    fn place(
        &mut self,
        key: FrontendKey,
        planned: &PlannedFrontend,
        batch: &mut Batch,
    ) -> Result<(), Lack> {
        let empty = Pool::default();
        let pool = if key.listener == Listener::AnyPort { &empty } else { &planned.pool };
        let balancing = planned.balancing.as_deref().filter(|_| !pool.is_empty());
        let wanted = Wanted { pool, balancing };
        let text = service_name(&planned.service);
        let known = self.services.id(&text);
        let table = known.and_then(|service| self.find(service, wanted));
        let sources = sources_wanted(key, planned);
        let flags = flags(planned, sources.is_some(), balancing.is_some());
        let current = self.frontends.get(&key).copied();

        if let Some(Entry { record, broken: false }) = current
            && Some(record.service) == known
            && (record.errno, record.flags) == (planned.errno, flags)
            && self.has_sources(&key, sources.as_ref())
            && if record.members == 0 { pool.is_empty() } else { table == Some(record.table) }
        {
            self.rename(table, pool, batch);
            batch.report.unchanged += 1;
            return Ok(());
        }
        self.check_room(key, wanted, table.is_some())?;
        if !self.sources_fit(&key, sources.as_ref()) {
            return Err(Lack::Sources);
        }

        let services = &mut self.services;
        let service =
            services.acquire(&text, &mut self.retired, &mut batch.writes).ok_or(Lack::Names)?;
        let table = match table {
            Some(first) => {
                self.share(first, batch);
                self.rename(table, pool, batch);
                table
            }
            None => self.build(service, wanted, batch),
        };
        let mut record = abi::Frontend {
            service,
            table: table.unwrap_or(0),
            members: table
                .and_then(|first| self.tables.get(first))
                .map_or(0, |table| u32::try_from(table.backends.len()).unwrap_or(0)),
            generation: 0,
            errno: planned.errno,
            flags,
        };
        record.generation = match current {
            Some(Entry { record: before, broken: false })
                if (before.table, before.members) == (record.table, record.members) =>
            {
                before.generation
            }
            _ => self.next_generation(current.map(|entry| entry.record.generation)),
        };
        self.set_sources(key, sources, batch);
        batch.writes.frontend(key, record);
        match self.frontends.insert(key, Entry { record, broken: false }) {
            None => {
                *self.frontends_of(key) += 1;
                batch.report.added += 1;
            }
            Some(Entry { broken: true, .. }) => batch.report.repaired += 1,
            Some(before) => {
                self.leave(before, batch);
                batch.report.changed += 1;
            }
        }
        Ok(())
    }

    /// Removes a frontend, where there is one.
    pub(super) fn remove(&mut self, key: FrontendKey, batch: &mut Batch) {
        let Some(entry) = self.frontends.remove(&key) else { return };
        batch.writes.removal(key);
        self.set_sources(key, None, batch);
        batch.report.removed += 1;
        let count = self.frontends_of(key);
        *count = count.saturating_sub(1);
        self.room_came_free = true;
        self.leave(entry, batch);
    }

    /// A table that has exactly the members that are wanted; none for an empty one.
    fn find(&self, service: u32, wanted: Wanted<'_>) -> Option<u32> {
        let mut tables = self.services.tables(service).iter().copied();
        tables.find(|first| self.tables.is(*first, wanted, &self.backends))
    }

    fn check_room(
        &mut self,
        key: FrontendKey,
        wanted: Wanted<'_>,
        has_table: bool,
    ) -> Result<(), Lack> {
        let limit = self.limits.frontends;
        if !self.frontends.contains_key(&key) && *self.frontends_of(key) >= limit {
            return Err(Lack::Frontend(Family::of(key.ip)));
        }
        if has_table || wanted.pool.is_empty() {
            return Ok(());
        }
        if let Some(slots) = self.tables.lack(wanted) {
            return Err(Lack::Slots(slots));
        }
        if !self.backends.fit(wanted.pool) {
            return Err(Lack::Backends);
        }
        Ok(())
    }

    /// Writes a new table into free slots.
    fn build(&mut self, service: u32, wanted: Wanted<'_>, batch: &mut Batch) -> Option<u32> {
        if wanted.pool.is_empty() {
            return None;
        }
        let mut ids = Vec::with_capacity(wanted.pool.len());
        for member in wanted.pool.iter() {
            let backends = &mut self.backends;
            let acquired =
                backends.acquire(member, self.generation, &mut self.retired, &mut batch.writes)?;
            batch.report.backends_added += usize::from(acquired.added);
            self.count_revived(acquired.revived, batch);
            ids.push(acquired.id);
        }
        let first = self.tables.insert(service, ids, wanted, &mut batch.writes)?;
        self.services.add_table(service, first);
        Some(first)
    }

    /// Leads one more frontend to a table that is there, in use or retired.
    fn share(&mut self, first: u32, batch: &mut Batch) {
        if self.tables.hold(first, &mut self.retired) {
            for id in self.members(first).iter() {
                let revived = self.backends.hold(*id, &mut self.retired);
                self.count_revived(revived, batch);
            }
        }
    }

    /// Brings the names of the Pods up to date where a table's members came from another pool.
    fn rename(&mut self, table: Option<u32>, pool: &Pool, batch: &mut Batch) {
        let Some(first) = table else { return };
        if self.tables.note(first, pool) {
            for (id, member) in self.members(first).iter().zip(pool.iter()) {
                self.backends.rename(*id, member, &mut batch.writes);
            }
        }
    }

    /// Counts a frontend out of what it led to.
    fn leave(&mut self, entry: Entry, batch: &mut Batch) {
        if entry.broken {
            return;
        }
        let now = batch.now;
        if let Some(first) = entry.table()
            && self.tables.drop_one(first, now, &mut self.retired)
        {
            for id in self.members(first).iter() {
                let retired = self.backends.drop_one(*id, now, &mut self.retired);
                batch.report.backends_retired += usize::from(retired);
            }
        }
        self.services.drop_one(entry.record.service, now, &mut self.retired);
    }

    fn members(&self, first: u32) -> std::sync::Arc<[u32]> {
        self.tables.get(first).map(|table| table.backends.clone()).unwrap_or_default()
    }

    /// A backend that only moves from one Service to another was not retired.
    fn count_revived(&self, since: Option<Duration>, batch: &mut Batch) {
        if since == Some(batch.now) {
            let retired = &mut batch.report.backends_retired;
            *retired = retired.saturating_sub(1);
        }
    }

    /// A generation that the frontend has not had: what a socket remembers must not look current.
    fn next_generation(&mut self, before: Option<u32>) -> u32 {
        if Some(self.generation) == before {
            self.generation = self.generation.wrapping_add(1);
        }
        let generation = self.generation;
        self.generation = self.generation.wrapping_add(1);
        generation
    }
}
