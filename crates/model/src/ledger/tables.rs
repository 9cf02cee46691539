use std::{collections::HashMap, sync::Arc, time::Duration};

use etm_abi as abi;

use super::{
    backends::Backends,
    free::FreeRanges,
    retired::{Item, Retired},
};
use super::{shortlists::Shortlists, writes::Writes};
use crate::{
    balance::{TableBalance, candidate_words, candidates, candidates_word, header},
    plan::{Balancing, Pool},
};

/// Tables in `SLOTS`: where each one lies, and how many frontends and routes lead to it.
#[derive(Clone, Debug)]
pub(super) struct Tables {
    /// By first slot.
    tables: HashMap<u32, Table>,
    shortlists: Shortlists,
    free: FreeRanges,
}

/// Backend ids in consecutive slots; never written again while it is here.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) service: u32,
    pub(super) backends: Arc<[u32]>,
    /// None where members are chosen evenly at random.
    pub(super) balance: Option<Box<Balance>>,
    /// The pool that it was last seen to be equal to, so that the same one needs no comparison.
    pool: Option<Pool>,
    /// Routes are counted too, one for each of its parts that leads here.
    frontends: u32,
    retired: Option<Duration>,
}

/// How the members of a table are chosen.
#[derive(Clone, Debug)]
pub(super) struct Balance {
    pub(super) header: abi::Balancing,
    pub(super) candidates: Arc<[abi::Candidate]>,
}

/// What a frontend's members must be, and how they are chosen.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Wanted<'a> {
    pub(super) pool: &'a Pool,
    pub(super) balancing: Option<&'a Balancing>,
}

impl<'a> Wanted<'a> {
    pub(super) fn of(pool: &'a Pool, balancing: Option<&'a Balancing>) -> Self {
        Self { pool, balancing: balancing.filter(|_| !pool.is_empty()) }
    }
}

/// Slots before a table's first one.
const fn lead(balanced: bool) -> u32 {
    if balanced { abi::BALANCING_WORDS * 2 } else { 0 }
}

/// Slots that a table takes up: whole words, or where it is balanced whole lines.
fn size(members: u32, balanced: bool) -> u32 {
    if balanced {
        let candidates = members.next_multiple_of(abi::LINE_WORDS);
        (candidates_word(members) + candidates) * 2
    } else {
        members.next_multiple_of(2)
    }
}

/// What the first slot of a table, and of a shortlist, is a multiple of.
const fn alignment(balanced: bool) -> u32 {
    if balanced { abi::LINE_SLOTS } else { 2 }
}

impl Tables {
    pub(super) fn new(slots: u32) -> Self {
        let shortlists = Shortlists::default();
        Self { tables: HashMap::new(), shortlists, free: FreeRanges::new(0..slots - slots % 2) }
    }

    /// Slots taken, by tables in use or retired.
    pub(super) fn slots(&self) -> u32 {
        self.free.taken()
    }

    pub(super) fn get(&self, first: u32) -> Option<&Table> {
        self.tables.get(&first)
    }

    /// How many slots in a row tables lack, none of which is empty; none where there is room for all
    /// that they need.
    pub(super) fn lack(&mut self, all: &[Wanted<'_>]) -> Option<usize> {
        // One must not count on the room of another.
        let mut taken = Vec::new();
        let lack = all.iter().find_map(|wanted| self.take_for(*wanted, &mut taken));
        for (first, length) in taken {
            self.free.release(first, length);
        }
        lack
    }

    /// Takes what a table needs; how many slots in a row it lacks, if it does.
    fn take_for(&mut self, wanted: Wanted<'_>, taken: &mut Vec<(u32, u32)>) -> Option<usize> {
        let members = wanted.pool.len();
        let Ok(count) = u32::try_from(members) else { return Some(members) };
        let balanced = wanted.balancing.is_some();
        let table = size(count, balanced);
        let Some(first) = self.free.take(table, alignment(balanced)) else {
            return Some(if balanced { table as usize } else { members });
        };
        taken.push((first, table));
        let balancing = wanted.balancing?;
        let candidates = candidates(wanted.pool);
        let bits = header(balancing, &candidates).shortlist_bits;
        let shortlist = self.shortlists.missing(&candidates, bits);
        if shortlist == 0 {
            return None;
        }
        let Some(first) = self.free.take(shortlist, alignment(true)) else {
            return Some(shortlist as usize);
        };
        taken.push((first, shortlist));
        None
    }

    /// Whether a table is one that is wanted.
    pub(super) fn is(&self, first: u32, wanted: Wanted<'_>, backends: &Backends) -> bool {
        let Some(table) = self.tables.get(&first) else { return false };
        if table.balance.is_some() != wanted.balancing.is_some() {
            return false;
        }
        let same = table.knows(wanted.pool)
            || (table.backends.len() == wanted.pool.len()
                && table
                    .backends
                    .iter()
                    .zip(wanted.pool.iter())
                    .all(|(id, member)| backends.id(&member.backend) == Some(*id)));
        same && match (&table.balance, wanted.balancing) {
            (Some(balance), Some(balancing)) => {
                balance.is(balancing)
                    && (table.knows(wanted.pool) || candidates(wanted.pool) == balance.candidates)
            }
            _ => true,
        }
    }

    /// Notes the pool that a table is that of; `false` where it was noted before.
    pub(super) fn note(&mut self, first: u32, pool: &Pool) -> bool {
        let Some(table) = self.tables.get_mut(&first) else { return false };
        let news = !table.knows(pool);
        table.pool = Some(Arc::clone(pool));
        news
    }

    /// Gives free slots to a table that one frontend or route leads to, and writes it.
    pub(super) fn insert(
        &mut self,
        service: u32,
        backends: Vec<u32>,
        wanted: Wanted<'_>,
        writes: &mut Writes,
    ) -> Option<u32> {
        let members = u32::try_from(backends.len()).ok()?;
        let balanced = wanted.balancing.is_some();
        let start = self.free.take(size(members, balanced), alignment(balanced))?;
        let first = start.saturating_add(lead(balanced));
        let mut balance = None;
        if let Some(balancing) = wanted.balancing {
            balance = self.balance(first, balancing, wanted.pool, writes).map(Box::new);
            if balance.is_none() {
                self.free.release(first - lead(balanced), size(members, balanced));
                return None;
            }
        }
        let table = Table {
            service,
            backends: backends.as_slice().into(),
            balance,
            pool: Some(Arc::clone(wanted.pool)),
            frontends: 1,
            retired: None,
        };
        writes.slots(first, backends);
        self.tables.insert(first, table);
        Some(first)
    }

    /// Writes what a table has besides the ids.
    fn balance(
        &mut self,
        first: u32,
        balancing: &Balancing,
        pool: &Pool,
        writes: &mut Writes,
    ) -> Option<Balance> {
        let candidates = candidates(pool);
        let mut header = header(balancing, &candidates);
        if header.shortlist_bits != 0 {
            header.shortlist = self.shortlists.acquire(&candidates, &mut self.free, writes)?;
        }
        let members = u32::try_from(pool.len()).ok()?;
        let head = first / 2 - abi::BALANCING_WORDS;
        writes.words(head, header.words().as_slice().into());
        writes.words(head + candidates_word(members), candidate_words(&candidates));
        Some(Balance { header, candidates })
    }

    /// Enters a table that was read back, which one frontend or route leads to; `false` where it lies where no table can, or is not
    /// complete.
    pub(super) fn adopt(
        &mut self,
        first: u32,
        service: u32,
        backends: Arc<[u32]>,
        read: Option<&TableBalance>,
    ) -> bool {
        let Ok(members) = u32::try_from(backends.len()) else { return false };
        let balanced = read.is_some();
        let lead = lead(balanced);
        if first < lead
            || !(first - lead).is_multiple_of(alignment(balanced))
            || !self.free.reserve(first - lead, size(members, balanced))
        {
            return false;
        }
        let balance = read
            .map(|read| Balance { header: read.header, candidates: Arc::clone(&read.candidates) });
        if let Some(read) = read
            && read.header.shortlist_bits != 0
            && !self.shortlists.adopt(
                read.header.shortlist,
                &read.candidates,
                &read.shortlist,
                &mut self.free,
            )
        {
            self.free.release(first - lead, size(members, balanced));
            return false;
        }
        let balance = balance.map(Box::new);
        let table = Table { service, backends, balance, pool: None, frontends: 1, retired: None };
        self.tables.insert(first, table);
        true
    }

    /// One more frontend or route leads to a table; `true` where it had been retired.
    pub(super) fn hold(&mut self, first: u32, retired: &mut Retired) -> bool {
        let Some(table) = self.tables.get_mut(&first) else { return false };
        table.frontends += 1;
        let Some(since) = table.retired.take() else { return false };
        retired.revive(since, Item::Table(first));
        true
    }

    /// Tables that nothing leads to and that were not retired yet.
    pub(super) fn orphans(&self) -> Vec<u32> {
        let idle = |table: &Table| table.frontends == 0 && table.retired.is_none();
        self.tables.iter().filter(|(_, table)| idle(table)).map(|(first, _)| *first).collect()
    }

    /// One frontend or route less leads to a table; `true` with the last one, when it is to be retired.
    pub(super) fn drop_one(&mut self, first: u32) -> bool {
        let Some(table) = self.tables.get_mut(&first) else { return false };
        table.frontends = table.frontends.saturating_sub(1);
        table.frontends == 0
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
        let balanced = table.balance.is_some();
        self.free.release(first.checked_sub(lead(balanced))?, size(members, balanced));
        if let Some(balance) = table.balance
            && balance.header.shortlist_bits != 0
        {
            self.shortlists.release(balance.header.shortlist, &mut self.free);
        }
        Some(table.service)
    }
}

impl Balance {
    /// Whether it is what is wanted for its candidates.
    fn is(&self, wanted: &Balancing) -> bool {
        let wanted = header(wanted, &self.candidates);
        self.header == abi::Balancing { shortlist: self.header.shortlist, ..wanted }
    }
}

impl Table {
    fn knows(&self, pool: &Pool) -> bool {
        self.pool.as_ref().is_some_and(|known| Arc::ptr_eq(known, pool))
    }
}
