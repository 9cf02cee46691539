//! How many of a Service's backends may be out, and which.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use etm_model::{BackendKey, Percent, ServicePortName};

use super::Tracker;
use crate::change::Budget;

/// Members that frontends choose from.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    pub(super) service: Arc<ServicePortName>,
    pub(super) members: u32,
    /// None is that nothing may be out.
    pub(super) share: Option<Percent>,
    /// That are to be out.
    asking: BTreeSet<BackendKey>,
    /// That are.
    granted: u32,
}

impl Pool {
    pub(super) const fn new(service: Arc<ServicePortName>) -> Self {
        Self { service, members: 0, share: None, asking: BTreeSet::new(), granted: 0 }
    }

    /// How many may be out: below the whole, that leaves at least one.
    pub(super) fn allowed(&self) -> u32 {
        self.share.map_or(0, |share| share.of(self.members))
    }

    pub(super) fn ask(&mut self, key: BackendKey, asks: bool) {
        if asks {
            self.asking.insert(key);
        } else {
            self.asking.remove(&key);
        }
    }

    pub(super) fn resize(&mut self, members: usize) {
        self.members = u32::try_from(members).unwrap_or(u32::MAX);
    }
}

impl Tracker {
    /// Chooses who is out in every pool whose members, or what speaks against them, are others.
    pub(super) fn settle(&mut self) {
        // One that returns early from probation asks no more, which settles its pools once again.
        while !self.unsettled.is_empty() {
            let (pools, asking) = self.connected();
            let mut out: BTreeMap<u32, u32> = pools.iter().map(|id| (*id, 0)).collect();
            let mut ranked: Vec<_> = asking.into_iter().collect();
            ranked.sort_by_cached_key(|key| {
                let trouble = self.backends.get(key).and_then(|backend| backend.trouble.as_ref());
                (trouble.and_then(|trouble| trouble.rank), *key)
            });
            for key in ranked {
                self.choose(key, &mut out);
            }
            for (id, granted) in out {
                if let Some(pool) = self.pools.get_mut(&id)
                    && pool.granted != granted
                {
                    pool.granted = granted;
                    self.unbudgeted.insert(Arc::clone(&pool.service));
                }
            }
        }
    }

    /// The pools that are to be settled, those that share a backend which is to be out with one of
    /// them, and so on; and all those backends.
    fn connected(&mut self) -> (BTreeSet<u32>, BTreeSet<BackendKey>) {
        let mut queue: Vec<_> = std::mem::take(&mut self.unsettled).into_iter().collect();
        let mut pools: BTreeSet<_> = queue.iter().copied().collect();
        let mut asking = BTreeSet::new();
        while let Some(id) = queue.pop() {
            let Some(pool) = self.pools.get(&id) else { continue };
            for key in &pool.asking {
                if !asking.insert(*key) {
                    continue;
                }
                let others = self.backends.get(key).into_iter().flat_map(|backend| &backend.pools);
                queue.extend(others.filter(|id| pools.insert(**id)));
            }
        }
        (pools, asking)
    }

    /// Puts a backend out where each of its pools has room, and spares it where one has not.
    fn choose(&mut self, key: BackendKey, out: &mut BTreeMap<u32, u32>) {
        let now = self.now;
        let Some(backend) = self.backends.get_mut(&key) else { return };
        let pools = &self.pools;
        let full = |id: &&u32| {
            let allowed = pools.get(id).map_or(0, Pool::allowed);
            out.get(id).is_some_and(|out| *out >= allowed)
        };
        let spared = backend.pools.iter().find(full).copied();
        if spared.is_none() {
            for id in &backend.pools {
                *out.entry(*id).or_default() += 1;
            }
        }
        let Some(trouble) = &mut backend.trouble else { return };
        let before = (trouble.granted, trouble.spared, trouble.passive);
        (trouble.granted, trouble.spared) = (spared.is_none(), spared);
        match &backend.policy {
            Some(policy) if trouble.granted => trouble.passive.eject(now, policy),
            _ => trouble.passive.spare(now),
        }
        if before == (trouble.granted, trouble.spared, trouble.passive) {
            return;
        }
        if let (true, Some(window)) = (trouble.granted, &mut backend.window) {
            window.clear();
        }
        self.touch(key);
    }

    /// What the kernel may do by itself in a Service port.
    pub(super) fn budget(&self, name: &ServicePortName) -> Budget {
        let Some(service) = self.services.get(name) else { return Budget::default() };
        let pools = service.pools().filter_map(|id| self.pools.get(&id));
        // A family that the Service has no endpoints of has none to lose.
        let pools = pools.filter(|pool| pool.members > 0);
        let budgets = pools.map(|pool| (pool.allowed(), pool.granted));
        let tightest =
            budgets.min_by_key(|(allowed, granted)| (allowed.saturating_sub(*granted), *allowed));
        let (allowed, ejected) = tightest.unwrap_or_default();
        let passive = service.policy.as_ref().is_some_and(|policy| policy.passive.is_some());
        Budget { allowed, ejected, passive }
    }
}
