//! One frontend: from what it is to what it must be.

use std::time::Duration;

use etm_abi as abi;

use super::{
    Ledger,
    lead::{Aim, Lead, flags_of},
    name::service_name,
    report::Report,
    room::{Lack, Waiting},
    sources::wanted as sources_wanted,
    writes::Writes,
};
use crate::{
    plan::{FrontendKey, PlannedFrontend, Pool},
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
    /// What it leads to, where it is not broken.
    pub(super) const fn lead(&self) -> Lead {
        match self.record {
            abi::Frontend { flags, table, .. } if flags & abi::FRONTEND_ROUTED != 0 => {
                Lead::Route(table)
            }
            abi::Frontend { members: 0, .. } => Lead::Nothing,
            abi::Frontend { table, .. } => Lead::Table(table),
        }
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

    /// A backend that only moves from one Service to another was not retired.
    pub(super) fn count_revived(&mut self, since: Option<Duration>) {
        if since == Some(self.now) {
            let retired = &mut self.report.backends_retired;
            *retired = retired.saturating_sub(1);
        }
    }
}

fn flags(planned: &PlannedFrontend, sources: bool, aim: Aim<'_>) -> u16 {
    let flag = |set, flag| if set { flag } else { 0 };
    // Those of a route's tables are in the route.
    let own = match aim {
        Aim::Table(_) => flags_of(planned.anyway, planned.elsewhere),
        Aim::Route(_) => 0,
    };
    flag(planned.node_only, abi::FRONTEND_NODE_ONLY)
        | flag(sources, abi::FRONTEND_SOURCES)
        | aim.flags()
        | own
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
        let aim = Aim::of(key, planned, &empty);
        let text = service_name(&planned.service);
        let known = self.services.id(&text);
        let found = known.and_then(|service| Some((service, self.found(service, aim)?)));
        let sources = sources_wanted(key, planned);
        let flags = flags(planned, sources.is_some(), aim);
        let current = self.frontends.get(&key).copied();

        if let Some(entry @ Entry { record, broken: false }) = current
            && found == Some((record.service, entry.lead()))
            && (record.errno, record.flags) == (planned.errno, flags)
            && self.has_sources(&key, sources.as_ref())
        {
            self.rename_all(record.service, aim, batch);
            batch.report.unchanged += 1;
            return Ok(());
        }
        self.check_room(key, known, aim)?;
        if !self.sources_fit(&key, sources.as_ref()) {
            return Err(Lack::Sources);
        }

        let services = &mut self.services;
        let service =
            services.acquire(&text, &mut self.retired, &mut batch.writes).ok_or(Lack::Names)?;
        let lead = match self.lead(service, aim, batch) {
            Ok(lead) => lead,
            Err(lack) => {
                self.services.drop_one(service, batch.now, &mut self.retired);
                return Err(lack);
            }
        };
        let (table, members) = self.place_of(lead);
        let mut record =
            abi::Frontend { service, table, members, generation: 0, errno: planned.errno, flags };
        record.generation = match current {
            Some(entry @ Entry { record: before, broken: false })
                if (entry.lead(), before.members) == (lead, record.members) =>
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

    /// What a frontend's record says of where it leads.
    fn place_of(&self, lead: Lead) -> (u32, u32) {
        let count = |length: usize| u32::try_from(length).unwrap_or(0);
        match lead {
            Lead::Nothing => (0, 0),
            Lead::Table(first) => {
                (first, self.tables.get(first).map_or(0, |table| count(table.backends.len())))
            }
            Lead::Route(first) => {
                (first, self.routes.get(first).map_or(0, |route| route.table.lines()))
            }
        }
    }

    /// A generation that no frontend has had: what a socket remembers, or a caller, must not look current.
    fn next_generation(&mut self, before: Option<u32>) -> u32 {
        if Some(self.generation) == before {
            self.generation = self.generation.wrapping_add(1);
        }
        let generation = self.generation;
        self.generation = self.generation.wrapping_add(1);
        generation
    }
}
