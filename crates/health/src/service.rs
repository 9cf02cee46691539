//! What a [`crate::Tracker`] is told of a Service port.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use etm_model::{BackendKey, HealthPolicy, ObjectName, Percent, Pool, ProbePort};
use serde::Serialize;

use crate::probe::Target;

/// One port of a Service, with everything that its backends' health depends on.
#[derive(Clone, Debug, Default)]
pub struct ServiceHealth {
    /// What a policy says; none is the default, or with [`ServiceHealth::publish_not_ready`] that
    /// nothing may be ejected.
    pub policy: Option<Arc<HealthPolicy>>,
    /// `spec.publishNotReadyAddresses`.
    pub publish_not_ready: bool,
    /// What its frontends choose from, each pool once: by family, and by traffic policy.
    pub pools: Vec<Pool>,
    /// What is known of its endpoints beside that; those in no pool too.
    pub endpoints: Vec<EndpointHealth>,
    /// `status.ejected` of the policy.
    pub monitored: Vec<MonitorEjection>,
}

/// What is known of one endpoint of a Service port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointHealth {
    /// Which.
    pub backend: BackendKey,
    /// Its Pod, where it is known.
    pub pod: Option<ObjectName>,
    /// The node that it is on, where one is named.
    pub node: Option<Arc<str>>,
    /// What its conditions say.
    pub readiness: Readiness,
    /// The number of the port that the policy's probe asks by name, where it has one here.
    pub probe_port: Option<u16>,
}

/// What an endpoint's conditions say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Readiness {
    /// It is ready.
    #[default]
    Ready,
    /// It is not ready.
    NotReady,
    /// Its Pod is being deleted.
    Terminating,
}

/// One entry of a policy's `status.ejected`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MonitorEjection {
    /// Whom it is about.
    pub suspect: Suspect,
    /// The monitor's name.
    pub monitor: Arc<str>,
    /// What it says.
    pub message: Arc<str>,
}

/// Whom a monitor is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Suspect {
    /// A Pod.
    Pod(ObjectName),
    /// Whatever has this address.
    Address(IpAddr),
}

impl ServiceHealth {
    /// The policy that counts; none where nothing may be ejected.
    #[must_use]
    pub fn effective(&self, default: &Arc<HealthPolicy>) -> Option<Arc<HealthPolicy>> {
        match &self.policy {
            Some(policy) => Some(Arc::clone(policy)),
            None if self.publish_not_ready => None,
            None => Some(Arc::clone(default)),
        }
    }

    /// The largest share of each of its pools that may be out.
    pub(crate) fn share(&self, default: &Arc<HealthPolicy>) -> Option<Percent> {
        self.effective(default).map(|policy| policy.max_ejected_percent)
    }

    /// What is to be probed for it: the members of its pools, each once.
    ///
    /// A member that has no port of the name that the probe asks for is left out.
    #[must_use]
    pub fn targets(&self) -> Vec<Target> {
        let Some(probe) = self.policy.as_ref().and_then(|policy| policy.probe.as_ref()) else {
            return Vec::new();
        };
        let probe = Arc::new(probe.clone());
        let mut named: Vec<_> = match probe.port {
            Some(ProbePort::Name(_)) => self.endpoints.iter().collect(),
            _ => Vec::new(),
        };
        named.sort_unstable_by_key(|endpoint| endpoint.backend);
        let port = |backend: BackendKey| match &probe.port {
            None => Some(backend.port),
            Some(ProbePort::Number(number)) => Some(*number),
            Some(ProbePort::Name(_)) => {
                let at = named.binary_search_by_key(&backend, |endpoint| endpoint.backend);
                at.ok().and_then(|at| named.get(at)?.probe_port)
            }
        };
        let members = self.pools.iter().flat_map(|pool| pool.iter());
        let targets = members.filter_map(|member| {
            let backend = member.backend;
            let address = SocketAddr::new(backend.ip, port(backend)?);
            Some(Target { backend, probe: Arc::clone(&probe), address })
        });
        let mut targets: Vec<_> = targets.collect();
        targets.sort_unstable();
        targets.dedup();
        targets
    }
}
