//! What the maps hold, as a change that makes other maps hold the same.

use std::sync::Arc;

use etm_abi as abi;

use super::{Ledger, name::service_port};
use crate::{
    balance::planned,
    plan::{Delta, FrontendKey, Member, PlannedFrontend, PlannedRoute, RouteClass, RoutePart},
    policy::Weight,
    refusal::Stale,
    route_table::{RouteShares, RouteTable},
};

impl Ledger {
    /// Every frontend that leads to a complete table, for maps of other sizes to take over.
    #[must_use]
    pub fn carried(&self) -> Delta {
        let sound = self.frontends.iter().filter(|(_, entry)| !entry.broken);
        let set = sound.filter_map(|(key, entry)| Some((*key, self.planned(key, &entry.record)?)));
        Delta { set: set.collect(), ..Delta::default() }
    }

    /// What made a frontend what it is.
    fn planned(&self, key: &FrontendKey, record: &abi::Frontend) -> Option<PlannedFrontend> {
        let target = record.target();
        let routed = target.flags() & abi::FRONTEND_ROUTED != 0;
        let whole = if routed { abi::Target::new(0, 0, 0) } else { target };
        let RoutePart { pool, balancing, anyway, elsewhere, .. } = self.part(1, whole)?;
        Some(PlannedFrontend {
            service: Arc::new(service_port(self.services.name(record.service)?)?),
            pool,
            sources: (record.flags & abi::FRONTEND_SOURCES != 0)
                .then(|| self.sources.of(key).into_iter().flatten().copied().collect()),
            node_only: record.flags & abi::FRONTEND_NODE_ONLY != 0,
            errno: record.errno,
            anyway,
            elsewhere,
            balancing,
            // No map holds these; they are for who judges backends, not for maps.
            health: None,
            ejected: Arc::default(),
            stale: Stale::Keep,
            abandoned: None,
            route: if routed { Some(Arc::new(self.planned_route(record.table)?)) } else { None },
        })
    }

    /// What made a route what it is.
    fn planned_route(&self, first: u32) -> Option<PlannedRoute> {
        let RouteTable { classes, callers } = &self.routes.get(first)?.table;
        let class = |shares: &RouteShares| {
            if shares.is_empty() {
                return Some(RouteClass::Denied);
            }
            let parts = shares.iter().map(|(weight, target)| self.part(*weight, *target));
            Some(RouteClass::Forward(parts.collect::<Option<_>>()?))
        };
        let classes = classes.iter().map(class).collect::<Option<_>>()?;
        Some(PlannedRoute { classes, callers: callers.clone() })
    }

    /// What made a table what it is.
    fn part(&self, weight: u32, target: abi::Target) -> Option<RoutePart> {
        let mut pool = Vec::new();
        let mut balancing = None;
        if target.members() > 0 {
            let table = self.tables.get(target.table())?;
            let mut candidates = table.balance.iter().flat_map(|one| one.candidates.iter());
            for id in table.backends.iter() {
                let backend = self.backends.key(*id)?;
                let pod = self.backends.pod(*id);
                let weight = candidates.next().map_or(1, |candidate| candidate.weight());
                pool.push(Member { backend, pod, weight: Weight::new(weight)? });
            }
            if let Some(balance) = &table.balance {
                balancing = Some(Arc::new(planned(&balance.header)?));
            }
        }
        Some(RoutePart {
            weight,
            pool: pool.into(),
            balancing,
            anyway: target.flags() & abi::FRONTEND_ANYWAY != 0,
            elsewhere: target.flags() & abi::FRONTEND_ELSEWHERE != 0,
        })
    }
}
