use std::collections::{BTreeMap, BTreeSet};

use etm_abi as abi;
use ipnet::IpNet;

use super::{Ledger, place::Batch, writes::Writes};
use crate::plan::{FrontendKey, Listener, PlannedFrontend};

/// Entries of `SOURCES`: from where the frontends that are not for everyone may be called.
#[derive(Clone, Debug, Default)]
pub(super) struct Sources {
    held: BTreeMap<FrontendKey, BTreeSet<IpNet>>,
    count: usize,
}

impl Sources {
    pub(super) fn adopt(held: BTreeMap<FrontendKey, BTreeSet<IpNet>>) -> Self {
        let count = held.values().map(BTreeSet::len).sum();
        Self { held, count }
    }

    /// From where a frontend may be called, as the maps have it.
    pub(super) fn of(&self, key: &FrontendKey) -> Option<&BTreeSet<IpNet>> {
        self.held.get(key)
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Whether there is room for these in place of what a frontend has.
    fn fit(&self, key: &FrontendKey, wanted: &BTreeSet<IpNet>) -> bool {
        // Those that go, go last.
        let held = self.held.get(key);
        let more = wanted.iter().filter(|net| held.is_none_or(|held| !held.contains(net))).count();
        self.count + more <= abi::MAX_SOURCES as usize
    }

    /// Makes the entries of a frontend these: whatever comes is there before the frontend is
    /// written, whatever goes stays until after.
    fn set(&mut self, key: FrontendKey, wanted: BTreeSet<IpNet>, writes: &mut Writes) {
        let held = self.held.remove(&key).unwrap_or_default();
        for net in wanted.difference(&held) {
            writes.source(key, *net);
        }
        for net in held.difference(&wanted) {
            writes.source_removal(key, *net);
        }
        self.count = self.count + wanted.len() - held.len();
        if !wanted.is_empty() {
            self.held.insert(key, wanted);
        }
    }
}

/// From where a frontend must be callable; none is from everywhere. A frontend of every port
/// refuses whoever calls.
pub(super) fn wanted(key: FrontendKey, planned: &PlannedFrontend) -> Option<BTreeSet<IpNet>> {
    let sources = planned.sources.as_ref().filter(|_| key.listener != Listener::AnyPort)?;
    Some(sources.iter().map(IpNet::trunc).collect())
}

impl Ledger {
    /// Whether a frontend's entries are the ones that it must have.
    pub(super) fn has_sources(&self, key: &FrontendKey, wanted: Option<&BTreeSet<IpNet>>) -> bool {
        let held = self.sources.of(key);
        held.map_or(0, BTreeSet::len) == wanted.map_or(0, BTreeSet::len)
            && (held.is_none() || held == wanted)
    }

    pub(super) fn sources_fit(&self, key: &FrontendKey, wanted: Option<&BTreeSet<IpNet>>) -> bool {
        wanted.is_none_or(|wanted| self.sources.fit(key, wanted))
    }

    pub(super) fn set_sources(
        &mut self,
        key: FrontendKey,
        wanted: Option<BTreeSet<IpNet>>,
        batch: &mut Batch,
    ) {
        self.sources.set(key, wanted.unwrap_or_default(), &mut batch.writes);
    }

    /// Removes the entries of frontends that are not there.
    pub(super) fn sweep_sources(&mut self, batch: &mut Batch) {
        let held = self.sources.held.keys();
        let strays: Vec<_> =
            held.filter(|key| !self.frontends.contains_key(key)).copied().collect();
        for key in strays {
            self.set_sources(key, None, batch);
        }
    }
}
