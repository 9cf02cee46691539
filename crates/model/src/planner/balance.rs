//! How the frontends of one port choose, and what share each member has.

use std::{
    collections::{BTreeMap, HashSet},
    net::IpAddr,
    sync::Arc,
};

use crate::{
    identity::hash,
    object::{ObjectName, Service},
    plan::{Balancing, Member},
    policy::{Affinity, Algorithm, Policy, Weight},
    snapshot::Snapshot,
};

/// Weights of Pods, as a policy says where they come from.
#[derive(Default)]
pub(super) struct Weights<'a> {
    /// Where ready endpoints of the Services are that weigh, in the policy's order.
    services: Vec<(HashSet<IpAddr>, Weight)>,
    /// By annotation; none where it does not count.
    pods: Option<&'a BTreeMap<ObjectName, Weight>>,
}

impl<'a> Weights<'a> {
    pub(super) fn new(policy: Option<&Policy>, snapshot: &'a Snapshot) -> Self {
        let Some(policy) = policy else { return Self::default() };
        let services = policy.load_balancing.service_weights.iter().map(|(name, weight)| {
            let namespace = Arc::clone(&policy.name.namespace);
            let service = ObjectName { namespace, name: Arc::clone(name) };
            (ready(&service, snapshot), *weight)
        });
        let pods = policy.load_balancing.pod_weights.then_some(&snapshot.pod_weights);
        Self { services: services.collect(), pods }
    }

    /// The weight of a Pod: its own, or that of the first Service that has it.
    pub(super) fn of(&self, ip: IpAddr, pod: Option<&ObjectName>) -> Weight {
        let own = || self.pods?.get(pod?).copied();
        let of_service = || {
            let mut services = self.services.iter();
            services.find(|(addresses, _)| addresses.contains(&ip)).map(|(_, weight)| *weight)
        };
        own().or_else(of_service).unwrap_or_default()
    }
}

fn ready(service: &ObjectName, snapshot: &Snapshot) -> HashSet<IpAddr> {
    let slices = snapshot.slices.get(service).into_iter().flat_map(BTreeMap::values);
    let endpoints = slices.flat_map(|slice| &slice.endpoints);
    endpoints.filter(|endpoint| endpoint.ready).map(|endpoint| endpoint.address).collect()
}

/// How the frontends of a port choose; none where that is evenly at random whatever the members.
pub(super) fn balancing(service: &Service, policy: Option<&Policy>) -> Option<Arc<Balancing>> {
    if policy.is_none() && service.affinity.is_none() {
        return None;
    }
    Some(Arc::new(Balancing {
        algorithm: policy.map(|policy| policy.load_balancing.algorithm).unwrap_or_default(),
        salt: hash(&service.name.to_string()),
        affinity: service.affinity,
    }))
}

/// How members of a destination are chosen that has a policy of its own: as when it is called itself,
/// but for affinity, which is the called Service's.
pub(super) fn by_policy(
    service: &ObjectName,
    policy: &Policy,
    affinity: Option<Affinity>,
) -> Balancing {
    Balancing {
        algorithm: policy.load_balancing.algorithm,
        salt: hash(&service.to_string()),
        affinity,
    }
}

/// Whether choosing among these members takes more than an even draw.
pub(super) fn matters(balancing: &Balancing, members: &[Member]) -> bool {
    balancing.algorithm != Algorithm::Random
        || balancing.affinity.is_some()
        || members.windows(2).any(|pair| pair[0].weight != pair[1].weight)
}
