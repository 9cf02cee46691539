use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use etm_abi as abi;

use super::{
    free::FreeRanges,
    name::{PodName, backend_name},
    record,
    retired::{Item, Retired},
    writes::Writes,
};
use crate::{
    object::ObjectName,
    plan::{BackendKey, Member, Pool},
};

/// Records of `BACKENDS`: who has which id, and how many tables lead there.
#[derive(Clone, Debug)]
pub(super) struct Backends {
    ids: HashMap<BackendKey, u32>,
    /// By id.
    entries: Vec<Option<Entry>>,
    free: FreeRanges,
}

#[derive(Clone, Debug)]
struct Entry {
    /// None where what was read back is no record of an available backend.
    key: Option<BackendKey>,
    name: Option<PodName>,
    tables: u32,
    retired: Option<Duration>,
}

/// How a member came by its id.
#[derive(Clone, Copy, Debug)]
pub(super) struct Acquired {
    pub(super) id: u32,
    /// Its record had to be written.
    pub(super) added: bool,
    /// When it had been retired, if it was.
    pub(super) revived: Option<Duration>,
}

impl Backends {
    pub(super) fn new(limit: u32) -> Self {
        Self { ids: HashMap::new(), entries: Vec::new(), free: FreeRanges::new(0..limit) }
    }

    /// Enters what was read back under an id; nothing where the id is outside of the array.
    pub(super) fn adopt(&mut self, id: u32, key: Option<BackendKey>, name: Option<String>) {
        if !self.free.reserve(id, 1) {
            return;
        }
        if let Some(key) = key {
            self.ids.entry(key).or_insert(id);
        }
        let name = name.map(|text| PodName::Text(text.into()));
        self.put(id, Entry { key, name, tables: 0, retired: None });
    }

    /// Ids that no table leads to and that were not retired yet.
    pub(super) fn orphans(&self) -> Vec<u32> {
        (0..)
            .zip(&self.entries)
            .filter_map(|(id, entry)| {
                let entry = entry.as_ref()?;
                (entry.tables == 0 && entry.retired.is_none()).then_some(id)
            })
            .collect()
    }

    pub(super) fn id(&self, key: &BackendKey) -> Option<u32> {
        self.ids.get(key).copied()
    }

    pub(super) fn key(&self, id: u32) -> Option<BackendKey> {
        self.entry(id)?.key
    }

    pub(super) fn pod(&self, id: u32) -> Option<ObjectName> {
        self.entry(id)?.name.as_ref()?.pod()
    }

    /// The id behind the last one that has, or had, a record.
    pub(super) fn end(&self) -> u32 {
        u32::try_from(self.entries.len()).unwrap_or(u32::MAX)
    }

    /// How many have a record, in use or retired.
    pub(super) fn count(&self) -> u32 {
        self.free.taken()
    }

    /// Whether there is room for those of some pools that have no record yet.
    pub(super) fn fit<'a>(&self, pools: impl Iterator<Item = &'a Pool> + Clone) -> bool {
        let room = self.free.free();
        let most: usize = pools.clone().map(|pool| pool.len()).sum();
        if most as u64 <= room {
            return true;
        }
        let members = pools.flat_map(|pool| pool.iter());
        let new = members.filter(|member| !self.ids.contains_key(&member.backend));
        new.map(|member| member.backend).collect::<BTreeSet<_>>().len() as u64 <= room
    }

    /// Adds one to the tables that lead to a member, which is written where it has no record, as
    /// of an incarnation that no record before had.
    pub(super) fn acquire(
        &mut self,
        member: &Member,
        incarnation: u32,
        retired: &mut Retired,
        writes: &mut Writes,
    ) -> Option<Acquired> {
        if let Some(id) = self.id(&member.backend) {
            let revived = self.hold(id, retired);
            self.rename(id, member, writes);
            return Some(Acquired { id, added: false, revived });
        }
        let backend = record::record(member.backend, incarnation)?;
        let id = self.free.take(1, 1)?;
        writes.backend(id, backend);
        if let Some(pod) = &member.pod {
            writes.backend_name(id, Some(backend_name(pod)));
        }
        let name = member.pod.clone().map(PodName::Pod);
        self.ids.insert(member.backend, id);
        self.put(id, Entry { key: Some(member.backend), name, tables: 1, retired: None });
        Some(Acquired { id, added: true, revived: None })
    }

    /// One more table leads to an id, which is revived where it was retired: then, since when.
    pub(super) fn hold(&mut self, id: u32, retired: &mut Retired) -> Option<Duration> {
        let entry = self.entry_mut(id)?;
        entry.tables += 1;
        let since = entry.retired.take()?;
        retired.revive(since, Item::Backend(id));
        Some(since)
    }

    /// Writes the name of a member's Pod where another one is in its place. A Pod that is not
    /// known erases no name: another Service may know it.
    pub(super) fn rename(&mut self, id: u32, member: &Member, writes: &mut Writes) {
        let (Some(pod), Some(entry)) = (&member.pod, self.entry_mut(id)) else { return };
        if !entry.name.as_ref().is_some_and(|name| name.is(pod)) {
            writes.backend_name(id, Some(backend_name(pod)));
        }
        entry.name = Some(PodName::Pod(pod.clone()));
    }

    /// One table less leads to an id; retired with the last one: then `true`.
    pub(super) fn drop_one(&mut self, id: u32, now: Duration, retired: &mut Retired) -> bool {
        let Some(entry) = self.entry_mut(id) else { return false };
        entry.tables = entry.tables.saturating_sub(1);
        let last = entry.tables == 0;
        if last {
            self.retire(id, now, retired);
        }
        last
    }

    pub(super) fn retire(&mut self, id: u32, now: Duration, retired: &mut Retired) {
        if let Some(entry) = self.entry_mut(id) {
            if let Some(since) = entry.retired.replace(now) {
                retired.revive(since, Item::Backend(id));
            }
            retired.insert(now, Item::Backend(id));
        }
    }

    /// Clears a record whose grace has passed.
    pub(super) fn release(&mut self, id: u32, writes: &mut Writes) {
        let Some(entry) = self.entries.get_mut(id as usize).and_then(Option::take) else { return };
        writes.backend(id, abi::Backend::default());
        if entry.name.is_some() {
            writes.backend_name(id, None);
        }
        if let Some(key) = entry.key
            && self.id(&key) == Some(id)
        {
            self.ids.remove(&key);
        }
        self.free.release(id, 1);
    }

    fn entry(&self, id: u32) -> Option<&Entry> {
        self.entries.get(id as usize)?.as_ref()
    }

    fn entry_mut(&mut self, id: u32) -> Option<&mut Entry> {
        self.entries.get_mut(id as usize)?.as_mut()
    }

    fn put(&mut self, id: u32, entry: Entry) {
        let index = id as usize;
        if index >= self.entries.len() {
            self.entries.resize_with(index + 1, || None);
        }
        self.entries[index] = Some(entry);
    }
}
