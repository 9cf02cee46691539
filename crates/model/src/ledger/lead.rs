//! What a frontend leads to: nothing, a table, or a route to several.

use std::sync::Arc;

use etm_abi as abi;

use super::{Ledger, place::Batch, place::Entry, room::Lack, tables::Wanted};
use crate::{
    object::Family,
    plan::{FrontendKey, Listener, PlannedFrontend, PlannedRoute, Pool, RouteClass, RoutePart},
    route_table::RouteTable,
};

/// What a frontend leads to, as the maps have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lead {
    /// It refuses.
    Nothing,
    /// The table that begins at a slot.
    Table(u32),
    /// The route that begins at a line.
    Route(u32),
}

/// What a frontend is to lead to.
#[derive(Clone, Copy)]
pub(super) enum Aim<'a> {
    /// One table, or without members none.
    Table(Wanted<'a>),
    /// A route.
    Route(&'a PlannedRoute),
}

impl<'a> Aim<'a> {
    /// What is planned for a frontend; `empty` is for one that refuses every port.
    pub(super) fn of(key: FrontendKey, planned: &'a PlannedFrontend, empty: &'a Pool) -> Self {
        match &planned.route {
            _ if key.listener == Listener::AnyPort => {
                Self::Table(Wanted { pool: empty, balancing: None })
            }
            Some(route) => Self::Route(route),
            None => Self::Table(Wanted::of(&planned.pool, planned.balancing.as_deref())),
        }
    }

    /// Flags of the frontend that say how to read what it leads to.
    pub(super) fn flags(&self) -> u16 {
        match self {
            Self::Table(wanted) if wanted.balancing.is_some() => abi::FRONTEND_BALANCED,
            Self::Table(_) => 0,
            Self::Route(_) => abi::FRONTEND_ROUTED,
        }
    }

    /// The tables, without those that would be empty; one may be there several times.
    fn tables(self) -> impl Iterator<Item = Wanted<'a>> {
        let (table, route) = match self {
            Self::Table(wanted) => (Some(wanted), None),
            Self::Route(route) => (None, Some(route)),
        };
        let parts = route.into_iter().flat_map(|route| &route.classes).flat_map(parts);
        table.into_iter().chain(parts.map(wanted)).filter(|wanted| !wanted.pool.is_empty())
    }
}

fn parts(class: &RouteClass) -> &[RoutePart] {
    match class {
        RouteClass::Denied => &[],
        RouteClass::Forward(parts) => parts,
    }
}

fn wanted(part: &RoutePart) -> Wanted<'_> {
    Wanted::of(&part.pool, part.balancing.as_deref())
}

impl Ledger {
    /// What is there already of what a frontend is to lead to; none where some of it is not.
    pub(super) fn found(&self, service: u32, aim: Aim<'_>) -> Option<Lead> {
        match aim {
            Aim::Table(wanted) if wanted.pool.is_empty() => Some(Lead::Nothing),
            Aim::Table(wanted) => self.find(service, wanted).map(Lead::Table),
            Aim::Route(route) => {
                let table = self.route_table(route, |wanted| self.find(service, wanted))?;
                self.routes.find(&table).map(Lead::Route)
            }
        }
    }

    /// Whether there is room for all that is not there yet.
    pub(super) fn check_room(
        &mut self,
        key: FrontendKey,
        service: Option<u32>,
        aim: Aim<'_>,
    ) -> Result<(), Lack> {
        let limit = self.limits.frontends;
        if !self.frontends.contains_key(&key) && *self.frontends_of(key) >= limit {
            return Err(Lack::Frontend(Family::of(key.ip)));
        }
        let mut missing: Vec<Wanted<'_>> = Vec::new();
        for wanted in aim.tables() {
            let is_there = service.is_some_and(|service| self.find(service, wanted).is_some());
            if !is_there && !missing.contains(&wanted) {
                missing.push(wanted);
            }
        }
        if let Some(slots) = self.tables.lack(&missing) {
            return Err(Lack::Slots(slots));
        }
        if !self.backends.fit(missing.iter().map(|wanted| wanted.pool)) {
            return Err(Lack::Backends);
        }
        if let Aim::Route(route) = aim {
            // Which slots its words name makes no difference to how many they are.
            let table = self.route_table(route, |_| Some(0)).unwrap_or_default();
            if !self.routes.fits(&table) {
                return Err(Lack::Routes);
            }
        }
        Ok(())
    }

    /// Leads one more frontend to what it is to lead to, made where it is not there.
    pub(super) fn lead(
        &mut self,
        service: u32,
        aim: Aim<'_>,
        batch: &mut Batch,
    ) -> Result<Lead, Lack> {
        match aim {
            Aim::Table(wanted) if wanted.pool.is_empty() => Ok(Lead::Nothing),
            Aim::Table(wanted) => {
                let lack = Lack::Slots(wanted.pool.len());
                self.hold_table(service, wanted, batch).map(Lead::Table).ok_or(lack)
            }
            Aim::Route(route) => {
                self.hold_route(service, route, batch).map(Lead::Route).ok_or(Lack::Routes)
            }
        }
    }

    fn hold_table(&mut self, service: u32, wanted: Wanted<'_>, batch: &mut Batch) -> Option<u32> {
        let Some(first) = self.find(service, wanted) else {
            return self.build(service, wanted, batch);
        };
        self.share(first, batch);
        self.rename(first, wanted.pool, batch);
        Some(first)
    }

    fn hold_route(&mut self, service: u32, route: &PlannedRoute, batch: &mut Batch) -> Option<u32> {
        let mut held = Vec::new();
        for wanted in Aim::Route(route).tables() {
            held.push(self.hold_table(service, wanted, batch));
        }
        let table = self.route_table(route, |wanted| self.find(service, wanted));
        let known = table.as_ref().and_then(|table| self.routes.find(table));
        let made = match (known, table) {
            (None, Some(table)) => self.routes.insert(table, &mut batch.writes),
            _ => None,
        };
        if let Some(first) = known {
            self.routes.hold(first);
        }
        if made.is_none() {
            // One that was there holds its tables already, once however many frontends lead to it.
            for table in held.into_iter().flatten() {
                self.drop_table(table, batch);
            }
        }
        known.or(made)
    }

    /// A route by where its tables lie; none where one of them is not there.
    fn route_table(
        &self,
        route: &PlannedRoute,
        find: impl Fn(Wanted<'_>) -> Option<u32>,
    ) -> Option<RouteTable> {
        let target = |part: &RoutePart| {
            let wanted = wanted(part);
            let flags = Aim::Table(wanted).flags() | flags_of(part.anyway, part.elsewhere);
            let first = if wanted.pool.is_empty() { 0 } else { find(wanted)? };
            let members = u32::try_from(wanted.pool.len()).ok()?;
            Some((part.weight, abi::Target::new(first, members, flags)))
        };
        let classes = route.classes.iter().map(|class| parts(class).iter().map(target).collect());
        let classes = classes.collect::<Option<_>>()?;
        Some(RouteTable { classes, callers: route.callers.clone() })
    }

    /// Brings the names of Pods up to date where tables' members came from other pools.
    pub(super) fn rename_all(&mut self, service: u32, aim: Aim<'_>, batch: &mut Batch) {
        for wanted in aim.tables() {
            if let Some(first) = self.find(service, wanted) {
                self.rename(first, wanted.pool, batch);
            }
        }
    }

    /// Counts a frontend out of what it led to.
    pub(super) fn leave(&mut self, entry: Entry, batch: &mut Batch) {
        if entry.broken {
            return;
        }
        match entry.lead() {
            Lead::Nothing => {}
            Lead::Table(first) => self.drop_table(first, batch),
            Lead::Route(first) => {
                if self.routes.drop_one(first, batch.now, &mut self.retired) {
                    for table in self.route_tables(first) {
                        self.drop_table(table, batch);
                    }
                }
            }
        }
        self.services.drop_one(entry.record.service, batch.now, &mut self.retired);
    }

    /// First slots of the tables of a route, one several times where it leads there several times.
    fn route_tables(&self, first: u32) -> Vec<u32> {
        let route = self.routes.get(first).into_iter();
        let targets = route.flat_map(|route| route.table.targets());
        targets.filter(|target| target.members() > 0).map(abi::Target::table).collect()
    }

    /// A table that has exactly the members that are wanted; none for an empty one.
    fn find(&self, service: u32, wanted: Wanted<'_>) -> Option<u32> {
        let mut tables = self.services.tables(service).iter().copied();
        tables.find(|first| self.tables.is(*first, wanted, &self.backends))
    }

    /// Writes a new table into free slots.
    fn build(&mut self, service: u32, wanted: Wanted<'_>, batch: &mut Batch) -> Option<u32> {
        let mut ids = Vec::with_capacity(wanted.pool.len());
        for member in wanted.pool.iter() {
            let backends = &mut self.backends;
            let acquired =
                backends.acquire(member, self.generation, &mut self.retired, &mut batch.writes)?;
            batch.report.backends_added += usize::from(acquired.added);
            batch.count_revived(acquired.revived);
            ids.push(acquired.id);
        }
        let first = self.tables.insert(service, ids, wanted, &mut batch.writes)?;
        self.services.add_table(service, first);
        Some(first)
    }

    /// One more leads to a table that is there, in use or retired.
    fn share(&mut self, first: u32, batch: &mut Batch) {
        if self.tables.hold(first, &mut self.retired) {
            for id in self.members(first).iter() {
                batch.count_revived(self.backends.hold(*id, &mut self.retired));
            }
        }
    }

    /// One less leads to a table.
    fn drop_table(&mut self, first: u32, batch: &mut Batch) {
        if self.tables.drop_one(first) {
            self.retire_table(first, batch);
        }
    }

    /// Nothing leads to a table any more.
    pub(super) fn retire_table(&mut self, first: u32, batch: &mut Batch) {
        let now = batch.now;
        self.tables.retire(first, now, &mut self.retired);
        for id in self.members(first).iter() {
            let retired = self.backends.drop_one(*id, now, &mut self.retired);
            batch.report.backends_retired += usize::from(retired);
        }
    }

    /// Brings the names of the Pods up to date where a table's members came from another pool.
    fn rename(&mut self, first: u32, pool: &Pool, batch: &mut Batch) {
        if self.tables.note(first, pool) {
            for (id, member) in self.members(first).iter().zip(pool.iter()) {
                self.backends.rename(*id, member, &mut batch.writes);
            }
        }
    }

    fn members(&self, first: u32) -> Arc<[u32]> {
        self.tables.get(first).map(|table| table.backends.clone()).unwrap_or_default()
    }
}

/// Flags of a table without usable members.
pub(super) fn flags_of(anyway: bool, elsewhere: bool) -> u16 {
    let flag = |set, flag| if set { flag } else { 0 };
    flag(anyway, abi::FRONTEND_ANYWAY) | flag(elsewhere, abi::FRONTEND_ELSEWHERE)
}
