//! What one Service asks for, before other Services are looked at.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

use etm_abi as abi;

use super::{
    balance::Weights,
    claim::{Claim, Field, Rank},
    health::health_check,
    options::{Options, UnknownPort},
    place::{Place, places},
    policy,
    pool::{Endpoints, Pools, Slices, too_many},
    route::{Routed, Routes, TooMany, own_outcome},
    served::Served,
};
use crate::{
    object::{Family, Node, Protocol, Service, ServicePort, TrafficPolicy},
    outcome::{Called, Outcomes},
    plan::{FrontendKey, HealthCheck, Listener, Member, Pool},
    problem::Problem,
    snapshot::Snapshot,
};

/// What one Service asks for.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) rank: Arc<Rank>,
    /// Ordered by key, each key once.
    pub(super) claims: Vec<Claim>,
    /// With its port; boxed, since few Services have one.
    pub(super) health_check: Option<Box<(u16, HealthCheck)>>,
    /// What of the Service itself could not be honoured.
    pub(super) problems: Vec<Problem>,
}

impl Draft {
    pub(super) fn new(service: &Service, snapshot: &Snapshot, options: &Options) -> Self {
        let mut drafting = Drafting::new(service, snapshot, options);
        let (slices, node) = (drafting.slices, drafting.node);
        for (index, port) in service.ports.iter().enumerate() {
            drafting.port(index, port);
        }
        if options.unknown_port == UnknownPort::Refuse {
            drafting.unknown_ports();
        }
        Self {
            rank: Arc::new(Rank::new(service.created, service.name.clone())),
            claims: drafting.claims.into_values().map(|(_, claim)| claim).collect(),
            health_check: health_check(service, slices, node),
            problems: drafting.problems,
        }
    }

    pub(super) fn claim(&self, key: FrontendKey) -> Option<&Claim> {
        let index = self.claims.binary_search_by_key(&key, |claim| claim.key).ok()?;
        self.claims.get(index)
    }

    pub(super) fn health_check_port(&self) -> Option<u16> {
        self.health_check.as_ref().map(|check| check.0)
    }

    /// Takes what is equal from an earlier draft, so that there is one copy of it in memory.
    pub(super) fn share(&mut self, earlier: &Self) {
        for claim in &mut self.claims {
            if let Some(same) = earlier.claim(claim.key)
                && same.frontend == claim.frontend
            {
                claim.frontend.clone_from(&same.frontend);
            }
        }
    }
}

struct Drafting<'a> {
    service: &'a Service,
    slices: Option<&'a Slices>,
    node: &'a Node,
    snapshot: &'a Snapshot,
    options: &'a Options,
    /// With the index of the port that asks.
    claims: BTreeMap<FrontendKey, (usize, Claim)>,
    problems: Vec<Problem>,
    /// Filled where somebody wants to know it.
    outcomes: Option<BTreeMap<Called, Outcomes>>,
}

/// What callers of a Service get, for each of its ports that can be planned.
#[must_use]
pub fn outcomes(
    service: &Service,
    snapshot: &Snapshot,
    options: &Options,
) -> BTreeMap<Called, Outcomes> {
    let mut drafting = Drafting::new(service, snapshot, options);
    drafting.outcomes = Some(BTreeMap::new());
    for (index, port) in service.ports.iter().enumerate() {
        drafting.port(index, port);
    }
    drafting.outcomes.unwrap_or_default()
}

impl<'a> Drafting<'a> {
    fn new(service: &'a Service, snapshot: &'a Snapshot, options: &'a Options) -> Self {
        Self {
            service,
            slices: snapshot.slices.get(&service.name),
            node: &snapshot.node,
            snapshot,
            options,
            claims: BTreeMap::new(),
            problems: Vec::new(),
            outcomes: None,
        }
    }

    fn port(&mut self, index: usize, port: &ServicePort) {
        if port.protocol == Protocol::Sctp {
            self.problem(
                format!("spec.ports[{index}].protocol"),
                "connect() of an SCTP socket passes no BPF hook".into(),
                "the port is left to whatever else handles it".into(),
            );
            return;
        }
        let policies = self.snapshot.policies.get(&self.service.name);
        let policy = policies.and_then(|policies| policy::of(policies, &port.name));
        let weights = Weights::new(policy, self.snapshot);
        let served = Served::port(self.service, port, policy, self.options);
        let places = places(self.service, self.slices, self.node, (index, port));
        let seen = (self.snapshot, self.options);
        let mut routed = Routed::new(seen, self.service, port, policy, served.balancing());
        for family in [Family::V4, Family::V6] {
            let places: Vec<_> = places.iter().filter(|p| Family::of(p.ip) == family).collect();
            let mut pools = self.pools((index, port), family, &places, &weights);
            if let Some(outcomes) = &mut self.outcomes {
                add_outcomes(outcomes, family, &places, &served, &pools, routed.as_mut());
            }
            let routes = match &mut routed {
                Some(routed) => {
                    self.routes((index, port), family, &places, &served, &mut pools, routed)
                }
                None => Routes::default(),
            };
            for place in places {
                let listener = Listener::Port(place.port, port.protocol);
                self.claim(index, place, listener, &served, (&pools, &routes));
            }
        }
    }

    /// The pools of policy `Cluster` and `Local` for one port and family, made where a place asks
    /// for them; none where one is larger than a table may be.
    fn pools(
        &mut self,
        (index, port): (usize, &ServicePort),
        family: Family,
        places: &[&Place],
        weights: &Weights<'_>,
    ) -> Pools {
        let mut pools = Pools::default();
        let Some(slices) = self.slices.filter(|_| !places.is_empty()) else { return pools };
        let asked = |policy| places.iter().any(|place| place.policy == policy);
        let endpoints = Endpoints::new(slices, port, family, weights);
        if asked(TrafficPolicy::Cluster) {
            pools.cluster = self.pool(index, port, endpoints.cluster(self.node));
        }
        if asked(TrafficPolicy::Local) {
            let local = endpoints.local(self.node);
            pools.elsewhere = local.is_empty() && !endpoints.is_empty();
            pools.local = match &pools.cluster {
                Some(same) if **same == *local => Some(Arc::clone(same)),
                _ => self.pool(index, port, local),
            };
        }
        pools
    }

    /// What callers get at places of a family, where routes say it; a pool that is larger than a table
    /// may be takes away the one that it stands for, so that frontends stay as they are.
    fn routes(
        &mut self,
        (index, port): (usize, &ServicePort),
        family: Family,
        places: &[&Place],
        served: &Served,
        pools: &mut Pools,
        routed: &mut Routed<'_>,
    ) -> Routes {
        let mut routes = Routes { abandoned: routed.abandoned(family), ..Routes::default() };
        for traffic in [TrafficPolicy::Cluster, TrafficPolicy::Local] {
            let asked = places.iter().any(|place| place.policy == traffic);
            let elsewhere = traffic == TrafficPolicy::Local && pools.elsewhere;
            let Some(own) = pools.of(traffic).filter(|_| asked) else { continue };
            let own = served.own(own, elsewhere);
            let mut told = Vec::new();
            let planned = routed.plan(own, (family, traffic), &mut told);
            for problem in told {
                self.tell(problem);
            }
            match planned {
                Ok(planned) => *routes.at(traffic) = planned,
                Err(TooMany(members)) => {
                    let (reason, hint) = too_many(port, members);
                    self.problem(format!("spec.ports[{index}]"), reason, hint);
                    *pools.at(traffic) = None;
                }
            }
        }
        routes
    }

    /// The pool of some members; none where it is larger than a table may be.
    fn pool(&mut self, index: usize, port: &ServicePort, members: Vec<Member>) -> Option<Pool> {
        if members.len() <= abi::MAX_MEMBERS as usize {
            return Some(members.into());
        }
        let (reason, hint) = too_many(port, members.len());
        self.problem(format!("spec.ports[{index}]"), reason, hint);
        None
    }

    fn claim(
        &mut self,
        index: usize,
        place: &Place,
        listener: Listener,
        served: &Served,
        (pools, routes): (&Pools, &Routes),
    ) {
        let (key, field) = (FrontendKey { ip: place.ip, listener }, place.field);
        match self.claims.entry(key) {
            Entry::Vacant(vacant) => {
                let frontend = served.frontend(key, place, pools, routes);
                vacant.insert((index, Claim { key, frontend, field }));
            }
            Entry::Occupied(taken) if taken.get().0 != index => {
                let first = taken.get().0;
                let (field, reason) = match (field, key.listener) {
                    (_, Listener::AnyPort) => return,
                    (Field::NodePort(_), Listener::Port(port, protocol)) => (
                        field.to_string(),
                        format!("{port}/{protocol} is also spec.ports[{first}]'s"),
                    ),
                    (Field::Address(_), Listener::Port(port, protocol)) => (
                        format!("spec.ports[{index}].port"),
                        format!("{port}/{protocol} is also spec.ports[{first}]'s"),
                    ),
                };
                self.problem(
                    field,
                    reason,
                    format!("spec.ports[{first}] keeps it; give each port its own number"),
                );
            }
            Entry::Occupied(_) => {}
        }
    }

    /// Refuses what the Service does not have, except on the node's own addresses, where it would
    /// cut off what else listens there.
    fn unknown_ports(&mut self) {
        let Some(first) = self.service.ports.first() else { return };
        let served = Served::unknown_ports(self.service, first, self.snapshot, self.options);
        let (empty, none) = (Pools::default(), Routes::default());
        for address in &self.service.addresses {
            if address.ip.is_loopback() || self.node.addresses.contains(&address.ip) {
                continue;
            }
            let place = Place::at(self.service, address, first.port);
            self.claim(0, &place, Listener::AnyPort, &served, (&empty, &none));
        }
    }

    fn problem(&mut self, field: String, reason: String, hint: String) {
        let object = format!("Service {}", self.service.name);
        self.tell(Problem { object, field, reason, hint });
    }

    fn tell(&mut self, problem: Problem) {
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }
}

/// Adds what callers of a port get by one family.
fn add_outcomes(
    outcomes: &mut BTreeMap<Called, Outcomes>,
    family: Family,
    places: &[&Place],
    served: &Served,
    pools: &Pools,
    mut routed: Option<&mut Routed<'_>>,
) {
    for traffic in [TrafficPolicy::Cluster, TrafficPolicy::Local] {
        let asked = places.iter().any(|place| place.policy == traffic);
        let Some(pool) = pools.of(traffic).filter(|_| asked) else { continue };
        let local = traffic == TrafficPolicy::Local;
        let own = served.own(pool, local && pools.elsewhere);
        let found = match &mut routed {
            Some(routed) => routed.outcomes(own, (family, traffic)).ok(),
            None => {
                let unknown = own_outcome(&served.name.service, &own);
                Some(Outcomes { unknown, callers: BTreeMap::new() })
            }
        };
        let called = Called { port: Arc::clone(&served.name), family, local };
        outcomes.extend(found.map(|found| (called, found)));
    }
}
