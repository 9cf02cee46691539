//! What the kernel's maps hold, and the steps from there to a Plan.

mod adopt;
mod backends;
mod carry;
mod free;
mod lead;
mod name;
mod place;
mod record;
mod report;
mod retired;
mod room;
mod routes;
mod services;
mod shortlists;
mod sources;
mod tables;
mod writes;

use std::{collections::BTreeMap, time::Duration};

pub use report::{Reconciled, Report};
pub use retired::GRACE;
pub use room::Usage;

use self::{
    backends::Backends,
    name::service_name,
    place::{Batch, Entry},
    retired::{Item, Retired},
    room::Waiting,
    routes::Routes,
    services::Services,
    sources::Sources,
    tables::Tables,
};
use crate::{
    kept::Kept,
    object::ObjectName,
    plan::{BackendKey, Delta, FrontendKey, Plan, ServicePortName},
    step::{Limits, Step},
};

/// The kernel's maps as they are once the steps given out so far are written, with the ids and
/// slots that are free in them.
///
/// Every list of steps must be written in full before the next is asked for; where that fails,
/// the maps are to be read back and adopted anew. `now` is any clock that never goes back.
#[derive(Clone, Debug)]
pub struct Ledger {
    limits: Limits,
    /// Of the next new table.
    generation: u32,
    frontends: BTreeMap<FrontendKey, Entry>,
    frontends_v4: u32,
    frontends_v6: u32,
    backends: Backends,
    services: Services,
    tables: Tables,
    routes: Routes,
    sources: Sources,
    retired: Retired,
    waiting: BTreeMap<FrontendKey, Waiting>,
    /// Something was freed since what waits was last tried.
    room_came_free: bool,
    /// What no frontend leads to was looked for since the maps were read.
    swept: bool,
    /// When steps were last given out.
    last: Duration,
}

impl Ledger {
    fn new(limits: Limits, generation: u32) -> Self {
        Self {
            limits,
            generation,
            frontends: BTreeMap::new(),
            frontends_v4: 0,
            frontends_v6: 0,
            backends: Backends::new(limits.backends),
            services: Services::new(limits.names()),
            tables: Tables::new(limits.slots),
            routes: Routes::new(limits.routes),
            sources: Sources::default(),
            retired: Retired::default(),
            waiting: BTreeMap::new(),
            room_came_free: false,
            swept: false,
            last: Duration::ZERO,
        }
    }

    /// Compares everything with a Plan; to be used at the start, and after an error.
    pub fn reconcile(&mut self, plan: &Plan, now: Duration) -> Reconciled {
        self.reconcile_others(plan, &Kept::default(), now)
    }

    /// Compares with a Plan as [`Ledger::reconcile`] does, but leaves some frontends as they are
    /// wherever they lead to a complete table: for a Plan that may know too little of them.
    pub fn reconcile_others(&mut self, plan: &Plan, kept: &Kept, now: Duration) -> Reconciled {
        let mut batch = self.begin(now);
        self.waiting.clear();
        let stays = |key: &FrontendKey, entry: &Entry| !entry.broken && kept.contains(key);
        batch.report.kept = self.frontends.iter().filter(|(key, entry)| stays(key, entry)).count();
        for (key, planned) in &plan.frontends {
            if !self.frontends.get(key).is_some_and(|entry| stays(key, entry)) {
                self.want(*key, planned, &mut batch);
            }
        }
        let gone: Vec<_> = self
            .frontends
            .iter()
            .filter(|(key, entry)| {
                !plan.frontends.contains_key(key)
                    && !stays(key, entry)
                    && (entry.broken || !plan.held.contains(key))
            })
            .map(|(key, _)| *key)
            .collect();
        for key in gone {
            self.remove(key, &mut batch);
        }
        self.finish(batch)
    }

    /// The frontends that lead to a complete table.
    pub fn sound(&self) -> impl Iterator<Item = FrontendKey> {
        self.frontends.iter().filter(|(_, entry)| !entry.broken).map(|(key, _)| *key)
    }

    /// Does what a change names, and nothing else.
    pub fn apply(&mut self, delta: &Delta, now: Duration) -> Reconciled {
        let mut batch = self.begin(now);
        for (key, planned) in &delta.set {
            self.want(*key, planned, &mut batch);
        }
        for key in &delta.remove {
            self.waiting.remove(key);
            self.remove(*key, &mut batch);
        }
        for key in &delta.hold {
            self.waiting.remove(key);
            if self.frontends.get(key).is_some_and(|entry| entry.broken) {
                self.remove(*key, &mut batch);
            }
        }
        self.finish(batch)
    }

    /// Clears what was retired at least [`GRACE`] ago, and gives the room to what waits for it.
    pub fn expire(&mut self, now: Duration) -> Vec<Step> {
        let mut batch = self.begin(now);
        while let Some(item) = self.retired.pop(now) {
            self.room_came_free = true;
            match item {
                Item::Route(first) => self.routes.release(first),
                Item::Table(first) => {
                    if let Some(service) = self.tables.release(first) {
                        self.services.remove_table(service, first);
                    }
                }
                Item::Backend(id) => self.backends.release(id, &mut batch.writes),
                Item::Service(id) => self.services.release(id, &mut batch.writes),
            }
        }
        self.finish(batch).steps
    }

    /// When [`Ledger::expire`] has something to do next.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Duration> {
        self.retired.next()
    }

    /// Starts the grace of what the last steps retired anew: to be called once they are written,
    /// so that it counts from then, however long the writing took.
    pub fn written(&mut self, now: Duration) {
        for item in self.retired.at(self.last) {
            match item {
                Item::Route(first) => self.routes.retire(first, now, &mut self.retired),
                Item::Table(first) => self.tables.retire(first, now, &mut self.retired),
                Item::Backend(id) => self.backends.retire(id, now, &mut self.retired),
                Item::Service(id) => self.services.retire(id, now, &mut self.retired),
            }
        }
        self.last = now;
    }

    /// Index into `BACKENDS` of a backend that has a record.
    #[must_use]
    pub fn backend(&self, key: &BackendKey) -> Option<u32> {
        self.backends.id(key)
    }

    /// The backend of an index into `BACKENDS`.
    #[must_use]
    pub fn backend_key(&self, id: u32) -> Option<BackendKey> {
        self.backends.key(id)
    }

    /// The Pod of a backend that has a record, where it is known.
    #[must_use]
    pub fn pod(&self, key: &BackendKey) -> Option<ObjectName> {
        self.backends.pod(self.backends.id(key)?)
    }

    /// Key into `SERVICE_NAMES` of a Service port that has one.
    #[must_use]
    pub fn service(&self, name: &ServicePortName) -> Option<u32> {
        self.services.id(&service_name(name))
    }

    /// Key into `BACKENDS` below which all lie that have a record.
    #[must_use]
    pub fn backends_end(&self) -> u32 {
        self.backends.end()
    }

    /// The generation of the next new table: all before it may be in use.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// How much the maps can hold.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    fn begin(&mut self, now: Duration) -> Batch {
        self.last = now;
        let mut batch = Batch::new(now);
        if !self.swept {
            self.swept = true;
            for first in self.tables.orphans() {
                self.retire_table(first, &mut batch);
            }
            let orphans = self.backends.orphans();
            batch.report.backends_retired += orphans.len();
            for id in orphans {
                self.backends.retire(id, now, &mut self.retired);
            }
            for id in self.services.orphans() {
                self.services.retire(id, now, &mut self.retired);
            }
            self.sweep_sources(&mut batch);
        }
        batch
    }

    /// Puts the steps in order, and tries once more what waits for room if some came free.
    fn finish(&mut self, batch: Batch) -> Reconciled {
        let now = batch.now;
        let mut reconciled =
            Reconciled { steps: Vec::new(), problems: batch.problems, report: batch.report };
        batch.writes.append_to(&mut reconciled.steps);
        if std::mem::take(&mut self.room_came_free) && !self.waiting.is_empty() {
            // After the removals: only now there is room in the kernel as well.
            let mut again = Batch { report: reconciled.report, ..Batch::new(now) };
            for (key, waiting) in std::mem::take(&mut self.waiting) {
                self.want(key, &waiting.planned, &mut again);
            }
            reconciled.problems = again.problems;
            reconciled.report = again.report;
            again.writes.append_to(&mut reconciled.steps);
        }
        reconciled.problems.sort_unstable();
        reconciled.problems.dedup();
        reconciled
    }
}
