//! From rules to what is drawn from.

use std::{collections::BTreeSet, sync::Arc};

use etm_abi::MAX_MEMBERS;

use super::destinations::Backends;
use crate::{
    object::{Family, Service, ServicePort, TrafficPolicy},
    plan::{Balancing, Member, Pool, RouteClass, RoutePart},
    planner::{
        balance::{self, Weights},
        options::Options,
    },
    policy::Policy,
    refusal::Refusal,
    route::{Action, Destination, Route, Rule},
    snapshot::Snapshot,
};

/// A destination has more members than one table may have: so many.
#[derive(Clone, Copy, Debug)]
pub(in crate::planner) struct TooMany(pub(in crate::planner) usize);

/// What destinations of one port's routes are made from.
pub(super) struct Parts<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) options: &'a Options,
    pub(super) target: &'a Service,
    pub(super) port: &'a ServicePort,
    /// The target's own, which counts where a destination has none.
    pub(super) policy: Option<&'a Policy>,
    pub(super) balancing: Option<Arc<Balancing>>,
    /// Each pool once.
    pub(super) pools: BTreeSet<Pool>,
}

/// What a rule's callers get.
pub(super) enum Given<'a> {
    Denied,
    /// Each part with what it was made from.
    Forward(Vec<(RoutePart, &'a Destination)>),
}

impl Given<'_> {
    pub(super) fn class(&self) -> RouteClass {
        match self {
            Self::Denied => RouteClass::Denied,
            Self::Forward(parts) => {
                RouteClass::Forward(parts.iter().map(|(part, _)| part.clone()).collect())
            }
        }
    }
}

impl<'a> Parts<'a> {
    /// What a rule's callers get at places of a family and a traffic policy; none where it is passed
    /// over since no destination has a usable endpoint.
    pub(super) fn of_rule(
        &mut self,
        (route, rule): (&'a Route, &'a Rule),
        (family, traffic): (Family, TrafficPolicy),
    ) -> Result<Option<Given<'a>>, TooMany> {
        let Action::Forward(destinations) = &rule.action else {
            return Ok(Some(Given::Denied));
        };
        let mut parts = Vec::new();
        for destination in destinations.iter().filter(|destination| destination.weight > 0) {
            let part = self.part(route, destination, (family, traffic))?;
            if route.owner.kind.is_gateway() || !part.pool.is_empty() {
                parts.push((part, destination));
            }
        }
        if parts.is_empty() && !route.owner.kind.is_gateway() {
            return Ok(None);
        }
        if let [(only, _)] = parts.as_mut_slice() {
            only.weight = 1;
        }
        Ok(Some(Given::Forward(parts)))
    }

    fn part(
        &mut self,
        route: &'a Route,
        destination: &'a Destination,
        (family, traffic): (Family, TrafficPolicy),
    ) -> Result<RoutePart, TooMany> {
        let weight = destination.weight;
        let found = Backends::of(self.snapshot, self.target, self.port, route, destination);
        let Ok(backends) = found else {
            let pool = self.share(Vec::new())?;
            return Ok(RoutePart {
                weight,
                pool,
                balancing: None,
                anyway: false,
                elsewhere: false,
            });
        };
        let policy = backends.policy.or(self.policy);
        let weights = Weights::new(policy, self.snapshot);
        let (members, elsewhere) = backends.members(family, traffic, &self.snapshot.node, &weights);
        let pool = self.share(members)?;
        let balancing = match backends.policy {
            Some(policy) => {
                let affinity = self.target.affinity;
                Some(Arc::new(balance::by_policy(backends.service, policy, affinity)))
            }
            None => self.balancing.clone(),
        };
        let refusal = policy.map_or(self.options.refusal, |policy| policy.refusal);
        Ok(RoutePart {
            weight,
            balancing: balancing.filter(|balancing| balance::matters(balancing, &pool)),
            anyway: refusal == Refusal::Anyway && !pool.is_empty(),
            elsewhere,
            pool,
        })
    }

    /// The one pool of some members.
    fn share(&mut self, members: Vec<Member>) -> Result<Pool, TooMany> {
        if members.len() > MAX_MEMBERS as usize {
            return Err(TooMany(members.len()));
        }
        if let Some(same) = self.pools.get(members.as_slice()) {
            return Ok(Arc::clone(same));
        }
        let pool = Pool::from(members);
        self.pools.insert(Arc::clone(&pool));
        Ok(pool)
    }
}
