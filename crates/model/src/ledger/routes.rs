use std::{collections::HashMap, sync::Arc, time::Duration};

use etm_abi::LINE_WORDS;

use super::{
    free::FreeRanges,
    retired::{Item, Retired},
    writes::Writes,
};
use crate::route_table::RouteTable;

/// Routes in `ROUTES`: where each one lies, and how many frontends lead to it.
#[derive(Clone, Debug)]
pub(super) struct Routes {
    /// By first line.
    routes: HashMap<u32, Route>,
    /// Those that frontends lead to.
    first: HashMap<(u32, Arc<[u64]>), u32>,
    free: FreeRanges,
}

/// One route; never written again while it is here.
#[derive(Clone, Debug)]
pub(super) struct Route {
    pub(super) table: RouteTable,
    words: Arc<[u64]>,
    frontends: u32,
    retired: Option<Duration>,
}

impl Route {
    fn lines(&self) -> u32 {
        u32::try_from(self.words.len()).unwrap_or(u32::MAX) / LINE_WORDS
    }

    fn key(&self) -> (u32, Arc<[u64]>) {
        (self.table.lines(), Arc::clone(&self.words))
    }
}

impl Routes {
    pub(super) fn new(lines: u32) -> Self {
        Self { routes: HashMap::new(), first: HashMap::new(), free: FreeRanges::new(0..lines) }
    }

    /// Lines taken, by routes in use or retired.
    pub(super) fn lines(&self) -> u32 {
        self.free.taken()
    }

    pub(super) fn get(&self, first: u32) -> Option<&Route> {
        self.routes.get(&first)
    }

    /// A route in use that says the same.
    pub(super) fn find(&self, table: &RouteTable) -> Option<u32> {
        self.first.get(&(table.lines(), table.words())).copied()
    }

    /// Whether there is room for a route.
    pub(super) fn fits(&self, table: &RouteTable) -> bool {
        let lines = table.words().len() / LINE_WORDS as usize;
        u32::try_from(lines).is_ok_and(|lines| self.free.first_fit(lines, 1).is_some())
    }

    /// Gives free lines to a route that one frontend leads to, and writes it.
    pub(super) fn insert(&mut self, table: RouteTable, writes: &mut Writes) -> Option<u32> {
        let words = table.words();
        let route = Route { table, words: Arc::clone(&words), frontends: 1, retired: None };
        let first = self.free.take(route.lines(), 1)?;
        writes.route(first * LINE_WORDS, words);
        self.first.insert(route.key(), first);
        self.routes.insert(first, route);
        Some(first)
    }

    /// Enters a route that was read back, which one frontend leads to; `false` where it lies where
    /// none can.
    pub(super) fn adopt(&mut self, first: u32, table: RouteTable) -> bool {
        let words = table.words();
        let route = Route { table, words, frontends: 1, retired: None };
        if !self.free.reserve(first, route.lines()) {
            return false;
        }
        self.first.entry(route.key()).or_insert(first);
        self.routes.insert(first, route);
        true
    }

    /// One more frontend leads to a route in use.
    pub(super) fn hold(&mut self, first: u32) {
        if let Some(route) = self.routes.get_mut(&first) {
            route.frontends += 1;
        }
    }

    /// One frontend less leads to a route, which is retired with the last one: then `true`. Whoever
    /// wants the same later gets a new one.
    pub(super) fn drop_one(&mut self, first: u32, now: Duration, retired: &mut Retired) -> bool {
        let Some(route) = self.routes.get_mut(&first) else { return false };
        route.frontends = route.frontends.saturating_sub(1);
        if route.frontends > 0 {
            return false;
        }
        let key = route.key();
        if self.first.get(&key) == Some(&first) {
            self.first.remove(&key);
        }
        self.retire(first, now, retired);
        true
    }

    pub(super) fn retire(&mut self, first: u32, now: Duration, retired: &mut Retired) {
        let Some(route) = self.routes.get_mut(&first) else { return };
        if let Some(since) = route.retired.replace(now) {
            retired.revive(since, Item::Route(first));
        }
        retired.insert(now, Item::Route(first));
    }

    /// Frees the lines of a route whose grace has passed.
    pub(super) fn release(&mut self, first: u32) {
        if let Some(route) = self.routes.remove(&first) {
            self.free.release(first, route.lines());
        }
    }
}
