use std::{collections::HashMap, sync::Arc, time::Duration};

use super::{
    free::FreeRanges,
    retired::{Item, Retired},
    writes::Writes,
};

/// Entries of `SERVICE_NAMES`: which Service port has which id, and how many frontends bear it.
#[derive(Clone, Debug)]
pub(super) struct Services {
    ids: HashMap<Arc<str>, u32>,
    entries: HashMap<u32, Entry>,
    free: FreeRanges,
    limit: u32,
}

#[derive(Clone, Debug)]
struct Entry {
    name: Arc<str>,
    frontends: u32,
    /// First slots of its tables, retired ones too.
    tables: Vec<u32>,
    retired: Option<Duration>,
}

impl Services {
    pub(super) fn new(limit: u32) -> Self {
        // 0 is what a frontend without a known Service bears.
        let free = FreeRanges::new(1..u32::MAX);
        Self { ids: HashMap::new(), entries: HashMap::new(), free, limit }
    }

    /// Enters a name that was read back.
    pub(super) fn adopt(&mut self, id: u32, name: &str) {
        self.free.reserve(id, 1);
        let name: Arc<str> = name.into();
        if id != 0 && !name.is_empty() {
            self.ids.entry(Arc::clone(&name)).or_insert(id);
        }
        self.entries.insert(id, Entry { name, frontends: 0, tables: Vec::new(), retired: None });
    }

    /// Ids that no frontend bears and that were not retired yet.
    pub(super) fn orphans(&self) -> Vec<u32> {
        let idle = |entry: &Entry| entry.frontends == 0 && entry.retired.is_none();
        self.entries.iter().filter(|(_, entry)| idle(entry)).map(|(id, _)| *id).collect()
    }

    pub(super) fn id(&self, text: &str) -> Option<u32> {
        self.ids.get(text).copied()
    }

    pub(super) fn name(&self, id: u32) -> Option<&str> {
        self.entries.get(&id).map(|entry| &*entry.name)
    }

    /// Whether an id has a name that frontends can be told by.
    pub(super) fn is_named(&self, id: u32) -> bool {
        id != 0 && self.entries.get(&id).is_some_and(|entry| !entry.name.is_empty())
    }

    /// Number of names in the map, in use or retired.
    pub(super) fn count(&self) -> usize {
        self.entries.len()
    }

    /// Id of a Service port with one more frontend; none where the map is full.
    pub(super) fn acquire(
        &mut self,
        text: &Arc<str>,
        retired: &mut Retired,
        writes: &mut Writes,
    ) -> Option<u32> {
        if let Some(id) = self.id(text) {
            self.hold(id, retired);
            return Some(id);
        }
        if self.entries.len() >= self.limit as usize {
            return None;
        }
        let id = self.free.take(1, 1)?;
        writes.service_name(id, Some(Arc::clone(text)));
        self.ids.insert(Arc::clone(text), id);
        let name = Arc::clone(text);
        self.entries.insert(id, Entry { name, frontends: 1, tables: Vec::new(), retired: None });
        Some(id)
    }

    /// One more frontend bears an id, which is revived where it was retired.
    pub(super) fn hold(&mut self, id: u32, retired: &mut Retired) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.frontends += 1;
            if let Some(since) = entry.retired.take() {
                retired.revive(since, Item::Service(id));
            }
        }
    }

    /// One frontend less bears an id; retired with the last one.
    pub(super) fn drop_one(&mut self, id: u32, now: Duration, retired: &mut Retired) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.frontends = entry.frontends.saturating_sub(1);
            if entry.frontends == 0 {
                self.retire(id, now, retired);
            }
        }
    }

    pub(super) fn retire(&mut self, id: u32, now: Duration, retired: &mut Retired) {
        if let Some(entry) = self.entries.get_mut(&id) {
            if let Some(since) = entry.retired.replace(now) {
                retired.revive(since, Item::Service(id));
            }
            retired.insert(now, Item::Service(id));
        }
    }

    /// Removes a name whose grace has passed.
    pub(super) fn release(&mut self, id: u32, writes: &mut Writes) {
        let Some(entry) = self.entries.remove(&id) else { return };
        writes.service_name(id, None);
        if self.id(&entry.name) == Some(id) {
            self.ids.remove(&entry.name);
        }
        if (1..u32::MAX).contains(&id) {
            self.free.release(id, 1);
        }
    }

    /// First slots of the tables of a Service port.
    pub(super) fn tables(&self, id: u32) -> &[u32] {
        self.entries.get(&id).map_or(&[], |entry| &entry.tables)
    }

    pub(super) fn add_table(&mut self, id: u32, first: u32) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.tables.push(first);
        }
    }

    pub(super) fn remove_table(&mut self, id: u32, first: u32) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.tables.retain(|other| *other != first);
        }
    }
}
