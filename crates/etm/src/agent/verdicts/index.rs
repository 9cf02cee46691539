//! Which frontends each Service port has.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use etm_model::{
    BackendKey, Delta, Ejected, FrontendKey, HealthPolicy, Listener, ObjectName, Plan,
    PlannedRoute, Planner, Pool, Protocol, RouteClass, ServicePortName,
};

/// Service ports by their frontends, and the other way round.
#[derive(Default)]
pub(super) struct Index {
    services: HashMap<FrontendKey, Arc<ServicePortName>>,
    frontends: BTreeMap<Arc<ServicePortName>, Vec<FrontendKey>>,
}

/// What a Plan says of a Service port, of all its frontends together.
pub(super) struct Planned {
    /// What they choose from, each pool once; then what only their routes lead to, as far as it is no
    /// other planned Service's own, by which it is judged.
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
    pub(super) fn change(
        &mut self,
        delta: &Delta,
        planner: &Planner,
    ) -> BTreeSet<Arc<ServicePortName>> {
        let mut changed = BTreeSet::new();
        for key in delta.remove.iter().chain(&delta.hold) {
            changed.extend(self.remove(key));
        }
        for key in delta.set.keys() {
            changed.extend(self.set(*key, planner.plan()));
        }
        // Who judges a member that a route leads to depends on whether its own Service is planned.
        let snapshot = planner.snapshot();
        let routed = changed.iter().flat_map(|name| snapshot.dependents(&name.service));
        let routed: Vec<_> = routed.flat_map(|service| self.ports_of(service)).cloned().collect();
        changed.extend(routed);
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
    pub(super) fn planned(&self, name: &ServicePortName, planner: &Planner) -> Option<Planned> {
        let keys = self.frontends.get(name)?;
        let mut found = Planned { pools: Vec::new(), policy: None, ejected: Arc::default() };
        let mut routes = Vec::new();
        for frontend in keys.iter().filter_map(|key| planner.plan().frontends.get(key)) {
            add(&mut found.pools, &frontend.pool);
            found.policy = frontend.health.clone();
            found.ejected = Arc::clone(&frontend.ejected);
            routes.extend(&frontend.route);
        }
        if !routes.is_empty() {
            let reached = self.only_reached(name, &routes, &found.pools, planner);
            found.pools.extend(reached);
        }
        Some(found)
    }

    /// The members that routes lead to and that no Service has as its own which is planned: each pool
    /// once, without those that one has.
    fn only_reached(
        &self,
        name: &ServicePortName,
        routes: &[&Arc<PlannedRoute>],
        own: &[Pool],
        planner: &Planner,
    ) -> Vec<Pool> {
        let mut reached = Vec::new();
        let classes = routes.iter().flat_map(|route| &route.classes);
        for class in classes {
            let RouteClass::Forward(parts) = class else { continue };
            for part in parts.iter().filter(|part| !own.iter().any(|p| Arc::ptr_eq(p, &part.pool)))
            {
                add(&mut reached, &part.pool);
            }
        }
        let mut judged = own.to_vec();
        for service in planner.snapshot().destinations(&name.service) {
            let keys = self.ports_of(service).filter_map(|port| self.frontends.get(port)).flatten();
            for frontend in keys.filter_map(|key| planner.plan().frontends.get(key)) {
                add(&mut judged, &frontend.pool);
            }
        }
        let others = reached.into_iter().map(|pool| {
            let is_judged = |backend| judged.iter().any(|pool| has(pool, backend));
            if pool.iter().any(|member| is_judged(&member.backend)) {
                pool.iter().filter(|member| !is_judged(&member.backend)).cloned().collect()
            } else {
                pool
            }
        });
        others.filter(|pool| !pool.is_empty()).collect()
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
        planner: &Planner,
    ) -> Vec<Arc<ServicePortName>> {
        let is_member = |name: &Arc<ServicePortName>| {
            let planned = self.planned(name, planner);
            planned.is_some_and(|planned| planned.pools.iter().any(|pool| has(pool, backend)))
        };
        self.frontends.keys().filter(|name| is_member(name)).map(Arc::clone).collect()
    }
}

fn add(pools: &mut Vec<Pool>, pool: &Pool) {
    if !pools.iter().any(|other| Arc::ptr_eq(other, pool)) {
        pools.push(Arc::clone(pool));
    }
}

fn has(pool: &Pool, backend: &BackendKey) -> bool {
    pool.binary_search_by_key(backend, |member| member.backend).is_ok()
}
