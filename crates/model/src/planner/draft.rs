//! What one Service asks for, before other Services are looked at.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use etm_abi as abi;

use super::{
    claim::{Claim, Field, Rank},
    options::{Options, UnknownPort},
    pool::{Slices, members},
};
use crate::{
    object::{AddressKind, Family, Node, Protocol, Service, ServicePort},
    plan::{FrontendKey, Listener, PlannedFrontend, Pool, ServicePortName},
    problem::Problem,
};

const LOOPBACK: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

/// What one Service asks for.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) rank: Arc<Rank>,
    /// Ordered by key, each key once.
    pub(super) claims: Vec<Claim>,
    /// What of the Service itself could not be honoured.
    pub(super) problems: Vec<Problem>,
}

impl Draft {
    pub(super) fn new(
        service: &Service,
        slices: Option<&Slices>,
        node: &Node,
        options: &Options,
    ) -> Self {
        let mut drafting = Drafting {
            service,
            slices,
            node,
            options,
            claims: BTreeMap::new(),
            problems: Vec::new(),
        };
        for (index, port) in service.ports.iter().enumerate() {
            drafting.port(index, port);
        }
        if options.unknown_port == UnknownPort::Refuse {
            drafting.unknown_ports();
        }
        Self {
            rank: Arc::new(Rank::new(service.created, service.name.clone())),
            claims: drafting.claims.into_values().map(|(_, claim)| claim).collect(),
            problems: drafting.problems,
        }
    }

    pub(super) fn claim(&self, key: FrontendKey) -> Option<&Claim> {
        let index = self.claims.binary_search_by_key(&key, |claim| claim.key).ok()?;
        self.claims.get(index)
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
    options: &'a Options,
    /// With the index of the port that asks.
    claims: BTreeMap<FrontendKey, (usize, Claim)>,
    problems: Vec<Problem>,
}

impl Drafting<'_> {
    fn port(&mut self, index: usize, port: &ServicePort) {
        if port.protocol == Protocol::Sctp {
            self.problem(
                format!("spec.ports[{index}].protocol"),
                "connect() of an SCTP socket passes no BPF hook".into(),
                "the port is left to whatever else handles it".into(),
            );
            return;
        }
        let name = Arc::new(ServicePortName {
            service: self.service.name.clone(),
            port: Arc::clone(&port.name),
            protocol: port.protocol,
        });
        let places = self.places(index, port);
        for family in [Family::V4, Family::V6] {
            let mut places =
                places.iter().filter(|(ip, _, _)| Family::of(*ip) == family).peekable();
            if places.peek().is_none() {
                continue;
            }
            let pool = self.pool(index, port, family);
            for (ip, number, field) in places {
                let key = FrontendKey { ip: *ip, listener: Listener::Port(*number, port.protocol) };
                self.claim(index, key, *field, &name, pool.as_ref());
            }
        }
    }

    /// Where one port is served: address, port number, and the field that says so.
    fn places(&self, index: usize, port: &ServicePort) -> Vec<(IpAddr, u16, Field)> {
        let addresses = self.service.addresses.iter();
        let mut places: Vec<_> = addresses
            .map(|address| (address.ip, port.port, Field::Address(address.kind)))
            .collect();
        if let Some(number) = port.node_port {
            let node = self.node.addresses.iter().chain(&LOOPBACK);
            places.extend(
                node.filter(|ip| self.serves(Family::of(**ip)))
                    .map(|ip| (*ip, number, Field::NodePort(index))),
            );
        }
        places
    }

    /// Whether the Service serves a family on the node's addresses.
    fn serves(&self, family: Family) -> bool {
        let cluster = || {
            let addresses = self.service.addresses.iter();
            addresses.filter(|address| address.kind == AddressKind::Cluster)
        };
        if cluster().next().is_some() {
            return cluster().any(|address| Family::of(address.ip) == family);
        }
        self.slices.is_some_and(|slices| slices.values().any(|slice| slice.family == family))
    }

    /// The pool of one port and family; none where it is larger than a table may be.
    fn pool(&mut self, index: usize, port: &ServicePort, family: Family) -> Option<Pool> {
        let Some(slices) = self.slices else { return Some(Pool::default()) };
        let members = members(slices, port, family);
        if members.len() <= abi::MAX_MEMBERS as usize {
            return Some(members.into());
        }
        let name = if port.name.is_empty() { "" } else { &format!("{}, ", port.name) };
        self.problem(
            format!("spec.ports[{index}]"),
            format!(
                "port {} ({name}{}) has {} usable endpoints, more than the {} that one table may \
                 have",
                port.port,
                port.protocol,
                members.len(),
                abi::MAX_MEMBERS
            ),
            "spread the Pods over several Services; until then its frontends stay as they were"
                .into(),
        );
        None
    }

    fn claim(
        &mut self,
        index: usize,
        key: FrontendKey,
        field: Field,
        name: &Arc<ServicePortName>,
        pool: Option<&Pool>,
    ) {
        match self.claims.entry(key) {
            Entry::Vacant(vacant) => {
                let frontend = pool.map(|pool| PlannedFrontend {
                    service: Arc::clone(name),
                    pool: Arc::clone(pool),
                    // Every Pod has a loopback of its own, which is not the Service's.
                    node_only: key.ip.is_loopback(),
                    errno: self.options.errno,
                });
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
        let name = Arc::new(ServicePortName {
            service: self.service.name.clone(),
            port: Arc::clone(&first.name),
            protocol: first.protocol,
        });
        let empty = Pool::default();
        for address in &self.service.addresses {
            if address.ip.is_loopback() || self.node.addresses.contains(&address.ip) {
                continue;
            }
            let key = FrontendKey { ip: address.ip, listener: Listener::AnyPort };
            self.claim(0, key, Field::Address(address.kind), &name, Some(&empty));
        }
    }

    fn problem(&mut self, field: String, reason: String, hint: String) {
        let object = format!("Service {}", self.service.name);
        let problem = Problem { object, field, reason, hint };
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }
}
