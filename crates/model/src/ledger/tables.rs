use std::{collections::HashMap, sync::Arc, time::Duration};

use super::{
    backends::Backends,
    free::FreeRanges,
    retired::{Item, Retired},
};
use crate::plan::Pool;

/// Tables in `SLOTS`: where each one lies, and how many frontends lead to it.
#[derive(Clone, Debug)]
pub(super) struct Tables {
    /// By first slot.
    tables: HashMap<u32, Table>,
    free: FreeRanges,
}

/// Backend ids in consecutive slots; never written again while it is here.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) service: u32,
    pub(super) backends: Arc<[u32]>,
    /// The pool that it was last seen to be equal to, so that the same one needs no comparison.
    pool: Option<Pool>,
    frontends: u32,
    retired: Option<Duration>,
}

/// Slots that a table takes up: an element of the array holds two.
fn size(members: u32) -> u32 {
    members.saturating_add(members % 2)
}

impl Tables {
    pub(super) fn new(slots: u32) -> Self {
        Self { tables: HashMap::new(), free: FreeRanges::new(0..slots - slots % 2) }
    }

    /// Slots taken, by tables in use or retired.
    pub(super) fn slots(&self) -> u32 {
        self.free.taken()
    }

    pub(super) fn get(&self, first: u32) -> Option<&Table> {
        self.tables.get(&first)
    }

    /// Whether there is room for a table.
    pub(super) fn fit(&self, members: usize) -> bool {
        u32::try_from(members).is_ok_and(|members| self.free.first_fit(size(members)).is_some())
    }

    /// Whether a table is that of a pool.
    pub(super) fn is(&self, first: u32, pool: &Pool, backends: &Backends) -> bool {
        let Some(table) = self.tables.get(&first) else { return false };
        if table.knows(pool) {
            return true;
        }
        table.backends.len() == pool.len()
            && table
                .backends
                .iter()
                .zip(pool.iter())
                .all(|(id, member)| backends.id(&member.backend) == Some(*id))
    }

    /// Notes the pool that a table is that of; `false` where it was noted before.
    pub(super) fn note(&mut self, first: u32, pool: &Pool) -> bool {
        let Some(table) = self.tables.get_mut(&first) else { return false };
        let news = !table.knows(pool);
        table.pool = Some(Arc::clone(pool));
        news
    }

    /// Gives free slots to a table that one frontend leads to.
    pub(super) fn insert(
        &mut self,
        service: u32,
        backends: Arc<[u32]>,
        pool: &Pool,
    ) -> Option<u32> {
        let members = u32::try_from(backends.len()).ok()?;
        let first = self.free.take(size(members))?;
        let pool = Some(Arc::clone(pool));
        self.tables.insert(first, Table { service, backends, pool, frontends: 1, retired: None });
        Some(first)
    }

    /// Enters a table that was read back; `false` where it lies where no table can.
    pub(super) fn adopt(&mut self, first: u32, service: u32, backends: Arc<[u32]>) -> bool {
        let Ok(members) = u32::try_from(backends.len()) else { return false };
        if !first.is_multiple_of(2) || !self.free.reserve(first, size(members)) {
            return false;
        }
        let table = Table { service, backends, pool: None, frontends: 1, retired: None };
        self.tables.insert(first, table);
        true
    }

    /// One more frontend leads to a table; `true` where it had been retired.
    pub(super) fn hold(&mut self, first: u32, retired: &mut Retired) -> bool {
        let Some(table) = self.tables.get_mut(&first) else { return false };
        table.frontends += 1;
        let Some(since) = table.retired.take() else { return false };
        retired.revive(since, Item::Table(first));
        true
    }

    /// One frontend less leads to a table; retired with the last one: then `true`.
    pub(super) fn drop_one(&mut self, first: u32, now: Duration, retired: &mut Retired) -> bool {
        let Some(table) = self.tables.get_mut(&first) else { return false };
        table.frontends = table.frontends.saturating_sub(1);
        let last = table.frontends == 0;
        if last {
            self.retire(first, now, retired);
        }
        last
    }

    pub(super) fn retire(&mut self, first: u32, now: Duration, retired: &mut Retired) {
        let Some(table) = self.tables.get_mut(&first) else { return };
        table.pool = None;
        if let Some(since) = table.retired.replace(now) {
            retired.revive(since, Item::Table(first));
        }
        retired.insert(now, Item::Table(first));
    }

    /// Frees the slots of a table whose grace has passed: its Service's id.
    pub(super) fn release(&mut self, first: u32) -> Option<u32> {
        let table = self.tables.remove(&first)?;
        let members = u32::try_from(table.backends.len()).ok()?;
        self.free.release(first, size(members));
        Some(table.service)
    }
}

impl Table {
    fn knows(&self, pool: &Pool) -> bool {
        self.pool.as_ref().is_some_and(|known| Arc::ptr_eq(known, pool))
    }
}
