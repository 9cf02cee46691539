//! Which backends a Service port has.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use etm_model::{BackendKey, HealthPolicy, ObjectName, ServicePortName};

use super::{Node, Tracker, share::Pool};
use crate::{
    backend::Backend,
    change::{Budget, Record},
    service::{MonitorEjection, Readiness, ServiceHealth, Suspect},
};

/// A record is cleared so long after the last table that led to it, at the latest; until then it
/// may be used again as it is.
const RECORDS_STAY: Duration = Duration::from_secs(10);

/// One Service port.
#[derive(Clone, Debug, Default)]
pub(super) struct Service {
    /// What counts for it; none is that nothing may be ejected.
    pub(super) policy: Option<Arc<HealthPolicy>>,
    /// Someone wrote it, and it says something else than the default.
    pub(super) explicit: bool,
    /// Its endpoints, in order.
    pub(super) listed: Vec<(BackendKey, Readiness)>,
    pools: Vec<(u32, etm_model::Pool)>,
    /// By whom they are about.
    pub(super) monitored: BTreeMap<Suspect, Vec<MonitorEjection>>,
    /// As it was last told.
    pub(super) budget: Budget,
}

/// What a Service port says of one endpoint.
#[derive(Default)]
struct Facts {
    pod: Option<ObjectName>,
    node: Option<Arc<str>>,
    readiness: Readiness,
}

impl Service {
    /// What it says of an endpoint's readiness.
    pub(super) fn readiness(&self, key: &BackendKey) -> Readiness {
        let at = self.listed.binary_search_by_key(key, |(listed, _)| *listed);
        at.ok()
            .and_then(|at| self.listed.get(at))
            .map(|(_, readiness)| *readiness)
            .unwrap_or_default()
    }

    pub(super) fn pools(&self) -> impl Iterator<Item = u32> {
        self.pools.iter().map(|(id, _)| *id)
    }
}

impl Tracker {
    /// Takes in what a Service port is now.
    pub fn set_service(
        &mut self,
        now: Duration,
        name: &Arc<ServicePortName>,
        health: &ServiceHealth,
    ) {
        self.advance(now);
        let facts = facts(health);
        let mut monitored: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for ejection in &health.monitored {
            monitored.entry(ejection.suspect.clone()).or_default().push(ejection.clone());
        }
        let before = self.services.remove(name).unwrap_or_default();
        let after = Service {
            policy: health.effective(&self.default),
            explicit: health.policy.as_ref().is_some_and(|policy| *policy != self.default),
            listed: facts.iter().map(|(key, facts)| (*key, facts.readiness)).collect(),
            pools: Vec::new(),
            monitored,
            budget: before.budget,
        };
        let gone = before.listed.iter().map(|(key, _)| *key);
        let gone: Vec<_> = gone.filter(|key| !facts.contains_key(key)).collect();
        let keys: Vec<_> = facts.keys().copied().collect();
        for (key, facts) in facts {
            self.list(key, name, facts);
        }
        let share = health.share(&self.default);
        let pools = self.set_pools(name, before.pools, &health.pools);
        for (id, _) in &pools {
            if let Some(pool) = self.pools.get_mut(id)
                && pool.share != share
            {
                pool.share = share;
                self.unsettled.insert(*id);
            }
        }
        self.unbudgeted.insert(Arc::clone(name));
        self.services.insert(Arc::clone(name), Service { pools, ..after });
        for key in gone {
            self.unlist(key, name);
        }
        for key in keys {
            self.refresh(key);
        }
    }

    /// A Service port is gone.
    pub fn remove_service(&mut self, now: Duration, name: &ServicePortName) {
        self.advance(now);
        let Some((name, service)) = self.services.remove_entry(name) else { return };
        self.set_pools(&name, service.pools, &[]);
        self.unbudgeted.remove(&name);
        for (key, _) in service.listed {
            self.unlist(key, &name);
        }
    }

    fn list(&mut self, key: BackendKey, name: &Arc<ServicePortName>, facts: Facts) {
        let (default, gone) = (&self.default, &mut self.gone);
        let backend = self.backends.entry(key).or_insert_with(|| {
            let mut backend = Backend::new(Some(Arc::clone(default)));
            if gone.remove(&key).is_some() {
                backend.told = None;
            }
            Box::new(backend)
        });
        if let Err(at) = backend.services.binary_search(name) {
            // Most are in one.
            backend.services.reserve_exact(1);
            backend.services.insert(at, Arc::clone(name));
        }
        let another = facts.pod.is_some() && facts.pod != backend.pod;
        if another && backend.pod.is_some() {
            backend.replace_pod();
        }
        if another {
            backend.pod = facts.pod;
        }
        if let Some(node) = facts.node.filter(|node| Some(node) != backend.node.as_ref()) {
            // One copy of each name.
            let name = self.nodes.get_key_value(&node).map(|(name, _)| Arc::clone(name));
            let name = name.unwrap_or(node);
            let before = backend.node.replace(Arc::clone(&name));
            self.leave_node(before, key);
            self.nodes.entry(name).or_default().backends.insert(key);
        }
    }

    /// A Service port no longer has a backend; forgets one that none has.
    fn unlist(&mut self, key: BackendKey, name: &ServicePortName) {
        let Some(backend) = self.backends.get_mut(&key) else { return };
        backend.services.retain(|other| **other != *name);
        if !backend.services.is_empty() {
            self.refresh(key);
            return;
        }
        let Some(backend) = self.backends.remove(&key) else { return };
        if let Some(due) = backend.due {
            self.timers.remove(&(due, key));
        }
        self.touched.remove(&key);
        self.judged.insert(key);
        self.policies.remove(&key);
        self.leave_node(backend.node, key);
        // What was told of it is not true of whoever comes next.
        let heard = self.heard.len();
        self.heard.retain(|(other, _)| *other != key);
        if heard != self.heard.len() || backend.told != Some(Record::Available { times: 0 }) {
            let now = self.now;
            self.gone.retain(|_, since| since.saturating_add(RECORDS_STAY) > now);
            self.gone.insert(key, now);
        }
    }

    fn leave_node(&mut self, node: Option<Arc<str>>, key: BackendKey) {
        let Some(name) = node else { return };
        if let Some(Node { backends, fault }) = self.nodes.get_mut(&name) {
            backends.remove(&key);
            if backends.is_empty() && fault.is_none() {
                self.nodes.remove(&name);
            }
        }
    }

    /// Puts pools in the places of others; equal ones stay.
    fn set_pools(
        &mut self,
        name: &Arc<ServicePortName>,
        before: Vec<(u32, etm_model::Pool)>,
        after: &[etm_model::Pool],
    ) -> Vec<(u32, etm_model::Pool)> {
        let mut before = before.into_iter();
        let mut set = Vec::with_capacity(after.len());
        for pool in after {
            let (id, old) = before.next().unwrap_or_else(|| {
                self.last_pool = self.last_pool.wrapping_add(1);
                self.pools.insert(self.last_pool, Pool::new(Arc::clone(name)));
                (self.last_pool, etm_model::Pool::default())
            });
            if !Arc::ptr_eq(&old, pool) {
                self.exchange(id, &old, pool);
            }
            set.push((id, Arc::clone(pool)));
        }
        for (id, old) in before {
            self.exchange(id, &old, &etm_model::Pool::default());
            self.pools.remove(&id);
            self.unsettled.remove(&id);
        }
        set
    }

    /// Makes the members of a pool others.
    fn exchange(&mut self, id: u32, before: &etm_model::Pool, after: &etm_model::Pool) {
        let keys = |pool: &etm_model::Pool| -> BTreeSet<BackendKey> {
            pool.iter().map(|member| member.backend).collect()
        };
        let (old, new) = (keys(before), keys(after));
        let Some(pool) = self.pools.get_mut(&id) else { return };
        pool.resize(new.len());
        self.unsettled.insert(id);
        for key in old.difference(&new) {
            pool.ask(*key, false);
            if let Some(backend) = self.backends.get_mut(key) {
                backend.pools.retain(|other| *other != id);
            }
        }
        for key in new.difference(&old) {
            let Some(backend) = self.backends.get_mut(key) else { continue };
            if backend.pools.is_empty() && backend.trouble.is_some() {
                // It may have lost its record in the meantime.
                backend.told = None;
            }
            backend.pools.reserve_exact(1);
            backend.pools.push(id);
            let asks = backend.trouble.as_ref().is_some_and(|trouble| trouble.rank.is_some());
            pool.ask(*key, asks);
        }
    }
}

fn facts(health: &ServiceHealth) -> BTreeMap<BackendKey, Facts> {
    let mut all: BTreeMap<BackendKey, Facts> = BTreeMap::new();
    let mut endpoints: Vec<_> = health.endpoints.iter().collect();
    // The first mention counts, as in the pools: the most usable one.
    endpoints.sort_by_key(|endpoint| (endpoint.backend, endpoint.readiness));
    endpoints.dedup_by_key(|endpoint| endpoint.backend);
    for endpoint in endpoints {
        let (pod, node) = (endpoint.pod.clone(), endpoint.node.clone());
        all.insert(endpoint.backend, Facts { pod, node, readiness: endpoint.readiness });
    }
    for member in health.pools.iter().flat_map(|pool| pool.iter()) {
        let facts = all.entry(member.backend).or_default();
        facts.pod = facts.pod.take().or_else(|| member.pod.clone());
    }
    all
}
