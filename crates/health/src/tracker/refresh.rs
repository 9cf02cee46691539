//! What of a backend follows from its Services and its node.

use std::{collections::BTreeMap, sync::Arc};

use etm_model::{BackendKey, HealthPolicy};

use super::Tracker;
use crate::{
    backend::Backend,
    passive::Passive,
    service::{MonitorEjection, Readiness, Suspect},
    trouble::MonitorOf,
};

/// What monitors say.
type Monitors = BTreeMap<MonitorOf, Arc<str>>;

impl Tracker {
    /// Looks up anew what a backend's Services and its node say of it.
    pub(super) fn refresh(&mut self, key: BackendKey) {
        let Some(backend) = self.backends.get(&key) else { return };
        let readiness = self.readiness(key, backend);
        let monitors = self.monitors(key, backend);
        let policy = self.policy_for(backend);
        let fault = backend.node.as_ref().and_then(|node| self.nodes.get(node)?.fault.clone());
        let probes = backend.trouble.iter().flat_map(|trouble| &trouble.probes);
        let probes = probes.filter(|(probe, _)| self.is_asked(key, probe));
        let probes: Vec<_> = probes.cloned().collect();
        let now = self.now;
        let Some(backend) = self.backends.get_mut(&key) else { return };
        if readiness != Readiness::Ready || !monitors.is_empty() || fault.is_some() {
            backend.trouble();
        }
        if let Some(trouble) = &mut backend.trouble {
            let since = trouble.readiness.filter(|(before, _)| *before == readiness);
            trouble.readiness = match readiness {
                Readiness::Ready => None,
                readiness => since.or(Some((readiness, now))),
            };
            let before = std::mem::take(&mut trouble.monitors);
            for (monitor, message) in monitors {
                let since = before.get(&monitor).map_or(now, |(_, since)| *since);
                trouble.monitors.insert(monitor, (message, since));
            }
            trouble.node = fault;
            trouble.probes = probes;
            trouble.explain();
        }
        self.set_policy(key, policy);
        self.touch(key);
    }

    /// Makes a policy that of a backend.
    fn set_policy(&mut self, key: BackendKey, policy: Option<Arc<HealthPolicy>>) {
        let now = self.now;
        let Some(backend) = self.backends.get_mut(&key) else { return };
        // One whose record is new has the default.
        let anew = backend.told.is_none() && policy.as_ref() != Some(&self.default);
        if anew || backend.policy != policy {
            self.policies.insert(key, policy.clone());
        }
        let passive = policy.as_ref().and_then(|policy| policy.passive.as_ref());
        if let Some(trouble) = &mut backend.trouble {
            match (&policy, passive) {
                (Some(policy), Some(_)) => trouble.passive.limit(now, policy),
                (None, _) => {
                    trouble.passive = Passive::new();
                    trouble.found = None;
                    trouble.alone = None;
                }
                (_, None) => trouble.passive.recover(now),
            }
        }
        match passive {
            Some(passive) => {
                if let Some(window) = &mut backend.window {
                    window.resize(passive.failure_share.window);
                }
            }
            None => backend.window = None,
        }
        backend.policy = policy;
    }

    /// The worst that a Service says.
    fn readiness(&self, key: BackendKey, backend: &Backend) -> Readiness {
        let services = backend.services.iter().filter_map(|name| self.services.get(name));
        services.map(|service| service.readiness(&key)).max().unwrap_or_default()
    }

    /// A policy that someone wrote before the default, of several that of the first Service.
    fn policy_for(&self, backend: &Backend) -> Option<Arc<HealthPolicy>> {
        let services = || backend.services.iter().filter_map(|name| self.services.get(name));
        let explicit = services().filter(|service| service.explicit);
        let mut policies = explicit.chain(services()).filter_map(|service| service.policy.clone());
        policies.next()
    }

    fn monitors(&self, key: BackendKey, backend: &Backend) -> Monitors {
        let mut monitors = Monitors::new();
        for name in &backend.services {
            let Some(service) = self.services.get(name) else { continue };
            if service.monitored.is_empty() {
                continue;
            }
            let pod = backend.pod.clone().map(Suspect::Pod);
            let suspects = pod.into_iter().chain([Suspect::Address(key.ip)]);
            let ejections = suspects.filter_map(|suspect| service.monitored.get(&suspect));
            for MonitorEjection { monitor, message, .. } in ejections.flatten() {
                monitors.insert((Arc::clone(name), Arc::clone(monitor)), Arc::clone(message));
            }
        }
        monitors
    }
}
