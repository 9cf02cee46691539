//! What the frontends of one port of a Service have in common.

use std::sync::{Arc, LazyLock};

use super::{balance, options::Options, place::Place, policy, pool::Pools, route::Routes};
use crate::{
    ejection::Ejected,
    health::HealthPolicy,
    object::{ObjectName, Service, ServicePort, TrafficPolicy},
    plan::{Balancing, FrontendKey, PlannedFrontend, Pool, RoutePart, ServicePortName},
    policy::Policy,
    refusal::{Refusal, Stale},
    snapshot::Snapshot,
};

/// What counts where no policy says anything: one for all frontends.
static ORDINARY: LazyLock<Arc<HealthPolicy>> = LazyLock::new(Arc::default);

/// What the frontends of one port have in common.
pub(super) struct Served {
    pub(super) name: Arc<ServicePortName>,
    balancing: Option<Arc<Balancing>>,
    refusal: Refusal,
    health: Option<Arc<HealthPolicy>>,
    ejected: Arc<[Ejected]>,
    stale: Stale,
}

impl Served {
    /// A port of a Service, by the policy that counts for it.
    pub(super) fn port(
        service: &Service,
        port: &ServicePort,
        policy: Option<&Policy>,
        options: &Options,
    ) -> Self {
        let stale = policy.map(|policy| policy.stale).unwrap_or_default();
        Self {
            name: name(&service.name, port),
            balancing: balance::balancing(service, policy),
            refusal: policy.map_or(options.refusal, |policy| policy.refusal),
            health: health(service, policy),
            ejected: policy.map(|policy| Arc::clone(&policy.ejected)).unwrap_or_default(),
            stale: stale.of(port.protocol),
        }
    }

    /// The ports that a Service does not have: only a policy for all of its ports is for them.
    pub(super) fn unknown_ports(
        service: &Service,
        first: &ServicePort,
        snapshot: &Snapshot,
        options: &Options,
    ) -> Self {
        let policies = snapshot.policies.get(&service.name);
        let policy = policies.and_then(policy::of_every_port);
        Self {
            name: name(&service.name, first),
            balancing: None,
            refusal: policy.map_or(options.refusal, |policy| policy.refusal),
            health: None,
            ejected: Arc::default(),
            stale: Stale::Keep,
        }
    }

    /// The frontend of one place, where its pool is no larger than a table may be.
    pub(super) fn frontend(
        &self,
        key: FrontendKey,
        place: &Place,
        pools: &Pools,
        routes: &Routes,
    ) -> Option<PlannedFrontend> {
        let pool = pools.of(place.policy)?;
        Some(PlannedFrontend {
            service: Arc::clone(&self.name),
            sources: place.sources.clone(),
            // Every Pod has a loopback of its own, which is not the Service's.
            node_only: key.ip.is_loopback(),
            errno: self.refusal.errno(),
            anyway: self.anyway(pool),
            elsewhere: place.policy == TrafficPolicy::Local && pools.elsewhere,
            balancing: self.balancing_of(pool),
            health: self.health.clone(),
            ejected: Arc::clone(&self.ejected),
            stale: self.stale,
            route: routes.of(place.policy).map(Arc::clone),
            abandoned: routes.abandoned(place.policy, pool),
            pool: Arc::clone(pool),
        })
    }

    /// How the port is balanced, whatever the members.
    pub(super) fn balancing(&self) -> Option<Arc<Balancing>> {
        self.balancing.clone()
    }

    /// What callers get whom no route leads elsewhere, as a route has it.
    pub(super) fn own(&self, pool: &Pool, elsewhere: bool) -> RoutePart {
        RoutePart {
            weight: 1,
            pool: Arc::clone(pool),
            balancing: self.balancing_of(pool),
            anyway: self.anyway(pool),
            elsewhere,
        }
    }

    fn anyway(&self, pool: &Pool) -> bool {
        self.refusal == Refusal::Anyway && !pool.is_empty()
    }

    /// How to choose from a pool.
    fn balancing_of(&self, pool: &Pool) -> Option<Arc<Balancing>> {
        self.balancing.clone().filter(|balancing| balance::matters(balancing, pool))
    }
}

/// By what the backends of a port are judged; none where none of them is to be ejected.
fn health(service: &Service, policy: Option<&Policy>) -> Option<Arc<HealthPolicy>> {
    match policy.and_then(|policy| policy.health.as_ref()) {
        Some(health) => Some(Arc::clone(health)),
        // Whoever publishes Pods that are not ready wants them called whatever they answer.
        None if service.publish_not_ready => None,
        None => Some(Arc::clone(&ORDINARY)),
    }
}

fn name(service: &ObjectName, port: &ServicePort) -> Arc<ServicePortName> {
    Arc::new(ServicePortName {
        service: service.clone(),
        port: Arc::clone(&port.name),
        protocol: port.protocol,
    })
}
