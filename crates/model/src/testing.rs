//! The kernel's maps in plain memory, to try steps on.

use std::{
    array,
    collections::{BTreeMap, BTreeSet},
};

use etm_abi as abi;
use etm_decide::{Line, Tables};
use ipnet::IpNet;
use thiserror::Error;

use crate::{
    balance::{TableBalance, candidate_words, candidates_word},
    hashing,
    object::Family,
    plan::FrontendKey,
    route_table::{RouteTable, led_to},
    step::{Contents, Limits, Step},
};

/// Maps that hold what steps write.
#[derive(Clone, Debug)]
pub struct Maps {
    limits: Limits,
    /// `SERVICES4` and `SERVICES6`.
    pub frontends: BTreeMap<FrontendKey, abi::Frontend>,
    /// `SLOTS`.
    pub slots: Vec<u32>,
    /// Words of `ROUTES`.
    pub routes: Vec<u64>,
    /// `BACKENDS`.
    pub backends: Vec<abi::Backend>,
    /// `BACKEND_NAMES`, without those that are empty.
    pub backend_names: BTreeMap<u32, String>,
    /// `SERVICE_NAMES`.
    pub service_names: BTreeMap<u32, String>,
    /// `SOURCES`.
    pub sources: BTreeMap<FrontendKey, BTreeSet<IpNet>>,
}

/// A step that the kernel would refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refused {
    /// The map of the family is full.
    #[error("frontend {0:?} does not fit: the map is full")]
    Full(FrontendKey),
    /// `SERVICE_NAMES` is full.
    #[error("the name of service {0} does not fit: the map is full")]
    Unnamed(u32),
    /// There is no such index.
    #[error("index {0} is outside of the array")]
    OutOfRange(u32),
    /// There is no such key.
    #[error("frontend {0:?} cannot be removed: it is not in the map")]
    Absent(FrontendKey),
}

impl Maps {
    /// Empty maps.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            frontends: BTreeMap::new(),
            slots: vec![0; limits.slots as usize],
            routes: vec![0; (limits.routes * abi::LINE_WORDS) as usize],
            backends: vec![abi::Backend::default(); limits.backends as usize],
            backend_names: BTreeMap::new(),
            service_names: BTreeMap::new(),
            sources: BTreeMap::new(),
        }
    }

    /// Writes one step.
    ///
    /// # Errors
    ///
    /// What the kernel would refuse, which then changes nothing.
    pub fn apply(&mut self, step: &Step) -> Result<(), Refused> {
        match step {
            Step::SetBackend { id, backend } => {
                let place = self.backends.get_mut(*id as usize);
                *place.ok_or(Refused::OutOfRange(*id))? = *backend;
            }
            Step::NameBackend { id, name: Some(name) } => {
                self.backend_names.insert(*id, name.to_string());
            }
            Step::NameBackend { id, name: None } => {
                self.backend_names.remove(id);
            }
            Step::NameService { id, name: Some(name) } => {
                let others = self.service_names.keys().filter(|other| *other != id).count();
                if others >= self.limits.names() as usize {
                    return Err(Refused::Unnamed(*id));
                }
                self.service_names.insert(*id, name.to_string());
            }
            Step::NameService { id, name: None } => {
                self.service_names.remove(id);
            }
            Step::SetSlots { first, backends } => {
                let from = *first as usize;
                let slots = self.slots.get_mut(from..from + backends.len());
                slots.ok_or(Refused::OutOfRange(*first))?.copy_from_slice(backends);
            }
            Step::SetWords { first, words } => {
                let from = *first as usize * 2;
                let slots = self.slots.get_mut(from..from + words.len() * 2);
                let slots = slots.ok_or(Refused::OutOfRange(*first))?.chunks_exact_mut(2);
                for (pair, word) in slots.zip(words.iter()) {
                    pair.copy_from_slice(&[*word as u32, (*word >> 32) as u32]);
                }
            }
            Step::SetRoute { first, words } => {
                let from = *first as usize;
                let routes = self.routes.get_mut(from..from + words.len());
                routes.ok_or(Refused::OutOfRange(*first))?.copy_from_slice(words);
            }
            Step::AddSource { frontend, source } => {
                self.sources.entry(*frontend).or_default().insert(*source);
            }
            Step::RemoveSource { frontend, source } => {
                let sources = self.sources.get_mut(frontend).ok_or(Refused::Absent(*frontend))?;
                if !sources.remove(source) {
                    return Err(Refused::Absent(*frontend));
                }
                if sources.is_empty() {
                    self.sources.remove(frontend);
                }
            }
            Step::SetFrontend { key, frontend } => {
                let family = Family::of(key.ip);
                let others = self
                    .frontends
                    .keys()
                    .filter(|other| *other != key && Family::of(other.ip) == family);
                if others.count() >= self.limits.frontends as usize {
                    return Err(Refused::Full(*key));
                }
                self.frontends.insert(*key, *frontend);
            }
            Step::RemoveFrontend { key } => {
                self.frontends.remove(key).ok_or(Refused::Absent(*key))?;
            }
        }
        Ok(())
    }

    /// The slots of a table; none where it reaches outside of the array.
    #[must_use]
    pub fn table(&self, target: abi::Target) -> Option<&[u32]> {
        let first = target.table() as usize;
        self.slots.get(first..first.checked_add(target.members() as usize)?)
    }

    /// The route of a frontend that has one; none where it is not whole.
    #[must_use]
    pub fn route(&self, frontend: &abi::Frontend) -> Option<RouteTable> {
        RouteTable::of(frontend, |at| self.routes.get(at as usize).copied())
    }

    /// Reads everything back.
    #[must_use]
    pub fn contents(&self) -> Contents {
        let routes =
            RouteTable::of_all(self.frontends.values(), |at| self.routes.get(at as usize).copied());
        let targets = led_to(self.frontends.values(), &routes);
        let tables = targets.iter().filter_map(|target| {
            let slots = self.table(*target)?;
            Some(((target.table(), target.members()), slots.to_vec()))
        });
        let backends = (0..).zip(self.backends.iter().copied());
        let word = |at: u32| Tables::word(self, at);
        Contents {
            frontends: self.frontends.clone(),
            tables: tables.collect(),
            balances: TableBalance::of_all(targets.iter().copied(), word),
            routes,
            backends: backends.filter(|(_, record)| record.state != abi::BACKEND_FREE).collect(),
            backend_names: self.backend_names.clone(),
            service_names: self.service_names.clone(),
            sources: self.sources.clone(),
        }
    }
}

impl Tables for Maps {
    type Backend = abi::Backend;
    type Line = Line;

    fn line(&self, index: u32) -> Option<Line> {
        let slots = self.slots.chunks(abi::LINE_SLOTS as usize).nth(index as usize)?;
        let slot = |at: usize| slots.get(at).copied().unwrap_or_default();
        Some(array::from_fn(|at| u64::from(slot(2 * at)) | u64::from(slot(2 * at + 1)) << 32))
    }

    fn route_word(&self, index: u32) -> Option<u64> {
        self.routes.get(index as usize).copied()
    }

    fn available(&self, backend: u32) -> Option<abi::Backend> {
        let record = self.backends.get(backend as usize);
        record.filter(|record| record.state == abi::BACKEND_AVAILABLE).copied()
    }

    fn connections(&self, _backend: u32) -> u32 {
        0
    }

    fn search<P: FnMut(u32) -> Option<u32>>(&self, count: u32, probe: P) -> Option<u32> {
        (0..count).find_map(probe)
    }
}

/// One table whose members are chosen by hash, as it lies in `SLOTS`.
#[derive(Clone, Debug)]
pub struct HashedTable {
    /// What comes before it, and its words: header, ids, candidates, shortlist.
    pub words: Vec<u64>,
    /// Where a frontend finds it.
    pub target: abi::Target,
    /// Its header.
    pub balancing: abi::Balancing,
    /// How many of its words are the shortlist.
    pub shortlist: usize,
}

impl HashedTable {
    /// The table of these members, so many lines behind the beginning; `id` gives the ids of their
    /// backends. What is in no use has all bits set.
    #[must_use]
    pub fn new(candidates: &[abi::Candidate], lines: u32, id: impl Fn(u32) -> u64) -> Self {
        let members = candidates.len() as u32;
        let head = lines * abi::LINE_WORDS;
        let mut words = vec![u64::MAX; head as usize];
        let (shortlist_bits, shortlist) = match hashing::shortlist(candidates) {
            Some(hashing::Shortlist { bits, words }) => (bits, words),
            None => (0, [].into()),
        };
        let behind = head + candidates_word(members);
        let balancing = abi::Balancing {
            shortlist_bits,
            group_bits: hashing::group_bits(candidates.len(), shortlist_bits),
            weighted: hashing::weighted(candidates).into(),
            shortlist: behind + members.next_multiple_of(abi::LINE_WORDS),
            ..abi::Balancing::default()
        };
        words.extend(balancing.words());
        words.extend((0..members).step_by(2).map(|pair| id(pair) | id(pair + 1) << 32));
        words.resize(behind as usize, u64::MAX);
        words.extend(&*candidate_words(candidates));
        words.extend(&*shortlist);
        let target = abi::Target::new((head + abi::BALANCING_WORDS) * 2, members, 0);
        Self { words, target, balancing, shortlist: shortlist.len() }
    }
}
