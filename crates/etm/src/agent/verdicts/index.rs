//! Which frontends each Service port has.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use etm_model::{
    BackendKey, Delta, Ejected, FrontendKey, HealthPolicy, Listener, ObjectName, Plan, Pool,
    Protocol, ServicePortName,
};

/// Service ports by their frontends, and the other way round.
#[derive(Default)]
pub(super) struct Index {
    services: HashMap<FrontendKey, Arc<ServicePortName>>,
    frontends: BTreeMap<Arc<ServicePortName>, Vec<FrontendKey>>,
}

/// What a Plan says of a Service port, of all its frontends together.
pub(super) struct Planned {
    /// What they choose from, each pool once.
    pub(super) pools: Vec<Pool>,
    /// By what the members are judged; none where none of them is to be ejected.
    pub(super) policy: Option<Arc<HealthPolicy>>,
    /// Which of them monitors have taken out.
    pub(super) ejected: Arc<[Ejected]>,
}

impl Index {
    /// Takes in a whole Plan: the Service ports that are or were there.
    pub(super) fn replace(&mut self, plan: &Plan) -> BTreeSet<Arc<ServicePortName>> {
        let mut changed: BTreeSet<_> = std::mem::take(self).frontends.into_keys().collect();
        for key in plan.frontends.keys() {
            changed.extend(self.set(*key, plan));
        }
        changed
    }

    /// Takes in what changed of a Plan: the Service ports that it touches.
    pub(super) fn change(&mut self, delta: &Delta, plan: &Plan) -> BTreeSet<Arc<ServicePortName>> {
        let mut changed = BTreeSet::new();
        for key in delta.remove.iter().chain(&delta.hold) {
            changed.extend(self.remove(key));
        }
        for key in delta.set.keys() {
            changed.extend(self.set(*key, plan));
        }
        changed
    }

    fn set(&mut self, key: FrontendKey, plan: &Plan) -> Vec<Arc<ServicePortName>> {
        let planned = plan.frontends.get(&key).filter(|_| key.listener != Listener::AnyPort);
        let Some(planned) = planned else { return Vec::new() };
        let mut changed = vec![Arc::clone(&planned.service)];
        if self.services.get(&key) != Some(&planned.service) {
            changed.extend(self.remove(&key));
            self.services.insert(key, Arc::clone(&planned.service));
            self.frontends.entry(Arc::clone(&planned.service)).or_default().push(key);
        }
        changed
    }

    fn remove(&mut self, key: &FrontendKey) -> Option<Arc<ServicePortName>> {
        let name = self.services.remove(key)?;
        if let Some(keys) = self.frontends.get_mut(&name) {
            keys.retain(|other| other != key);
            if keys.is_empty() {
                self.frontends.remove(&name);
            }
        }
        Some(name)
    }

    /// What is planned for a Service port; none where it has no frontend.
    pub(super) fn planned(&self, name: &ServicePortName, plan: &Plan) -> Option<Planned> {
        let keys = self.frontends.get(name)?;
        let mut found = Planned { pools: Vec::new(), policy: None, ejected: Arc::default() };
        for frontend in keys.iter().filter_map(|key| plan.frontends.get(key)) {
            if !found.pools.iter().any(|pool| Arc::ptr_eq(pool, &frontend.pool)) {
                found.pools.push(Arc::clone(&frontend.pool));
            }
            found.policy = frontend.health.clone();
            found.ejected = Arc::clone(&frontend.ejected);
        }
        Some(found)
    }

    /// The ports of a Service.
    pub(super) fn ports_of<'a>(
        &'a self,
        service: &'a ObjectName,
    ) -> impl Iterator<Item = &'a Arc<ServicePortName>> {
        let first =
            ServicePortName { service: service.clone(), port: "".into(), protocol: Protocol::Tcp };
        let from = self.frontends.range(first..).map(|(name, _)| name);
        from.take_while(|name| name.service == *service)
    }

    /// The Service ports that have a backend among their members.
    pub(super) fn with_member(
        &self,
        backend: &BackendKey,
        plan: &Plan,
    ) -> Vec<Arc<ServicePortName>> {
        let has = |name: &Arc<ServicePortName>| {
            self.planned(name, plan).is_some_and(|planned| {
                planned
                    .pools
                    .iter()
                    .any(|pool| pool.binary_search_by_key(backend, |member| member.backend).is_ok())
            })
        };
        self.frontends.keys().filter(|name| has(name)).map(Arc::clone).collect()
    }
}
