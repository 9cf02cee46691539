//! Which Service ports the tracker knows, and by what their members are judged.

use std::{collections::BTreeSet, sync::Arc};

use etm_dataplane::monotonic;
use etm_health::ServiceHealth;
use etm_model::{BackendKey, EjectedNodes, ProbePort, ServicePortName};

use super::{
    Scene, Verdicts,
    endpoints::known,
    index::Planned,
    outside::{monitored, touches},
};

impl Verdicts {
    /// Says of Service ports by what their members are judged.
    pub(super) fn judge(&mut self, names: BTreeSet<Arc<ServicePortName>>, scene: &mut Scene<'_>) {
        for name in names {
            let Some(planned) = self.index.planned(&name, scene.planner) else {
                self.forget(&name);
                continue;
            };
            let members = planned.pools.iter().flat_map(|pool| pool.iter());
            let mut suspects = members.map(|member| member.backend);
            let other = planned.policy.as_ref().is_some_and(|policy| *policy != self.default)
                || !planned.ejected.is_empty()
                || on_nodes_of(&name, &self.nodes, scene);
            if other
                || self.told.contains(&name)
                || suspects.any(|key| self.suspects.contains(&key))
            {
                self.introduce(&name, planned, scene);
            } else {
                self.judge_by_default(&name, &planned, scene);
            }
        }
    }

    fn forget(&mut self, name: &Arc<ServicePortName>) {
        self.records.forget(name);
        if self.told.remove(name) {
            self.tracker.remove_service(monotonic(), name);
            self.prober.set(name, []);
        }
    }

    /// Gives a Service port the budget that it has while nothing speaks against its members.
    fn judge_by_default(
        &mut self,
        name: &Arc<ServicePortName>,
        planned: &Planned,
        scene: &mut Scene<'_>,
    ) {
        self.judge_members(name, planned, scene);
        let Some(service) = scene.ledger.service(name) else { return };
        let percent = planned.policy.as_ref().filter(|policy| policy.passive.is_some());
        let allowed = planned.pools.iter().filter_map(|pool| {
            let members = u32::try_from(pool.len()).unwrap_or(u32::MAX);
            percent.map(|policy| policy.max_ejected_percent.of(members))
        });
        self.records.set_budget(name, service, allowed.min().unwrap_or(0), scene.dataplane);
    }

    /// Says by what the members of a Service port are judged. One that several Services have is
    /// judged as the tracker says, where it knows.
    fn judge_members(
        &mut self,
        name: &Arc<ServicePortName>,
        planned: &Planned,
        scene: &mut Scene<'_>,
    ) {
        let Some(service) = scene.ledger.service(name) else { return };
        for member in planned.pools.iter().flat_map(|pool| pool.iter()) {
            let Some(id) = scene.ledger.backend(&member.backend) else { continue };
            let policy = self.tracker.policy(&member.backend).or(planned.policy.as_ref());
            self.records.judge(id, policy.map(AsRef::as_ref), service, scene.dataplane);
        }
    }

    /// Tells the tracker of a Service port.
    pub(super) fn introduce(
        &mut self,
        name: &Arc<ServicePortName>,
        planned: Planned,
        scene: &mut Scene<'_>,
    ) {
        self.judge_members(name, &planned, scene);
        let snapshot = scene.planner.snapshot();
        let port = snapshot.services.get(&name.service).and_then(|service| {
            let mut ports = service.ports.iter();
            ports.find(|port| port.name == name.port && port.protocol == name.protocol)
        });
        let probe = planned.policy.as_ref().and_then(|policy| policy.probe.as_ref());
        let asked = probe.and_then(|probe| match &probe.port {
            Some(ProbePort::Name(name)) => Some(&**name),
            _ => None,
        });
        let known = port.map(|port| known(snapshot, name, port, asked, &planned.pools));
        let health = ServiceHealth {
            publish_not_ready: planned.policy.is_none(),
            policy: planned.policy.clone(),
            pools: planned.pools,
            endpoints: known.unwrap_or_default(),
            monitored: monitored(&planned.ejected, &name.service),
        };
        self.prober.set(name, health.targets());
        self.tracker.set_service(monotonic(), name, &health);
        self.told.insert(Arc::clone(name));
    }

    /// Something is said against a backend: the tracker is to know all that it is a member of.
    pub(super) fn suspect(&mut self, key: BackendKey, scene: &mut Scene<'_>) {
        if !self.suspects.insert(key) {
            return;
        }
        for name in self.index.with_member(&key, scene.planner) {
            if !self.told.contains(&name)
                && let Some(planned) = self.index.planned(&name, scene.planner)
            {
                self.introduce(&name, planned, scene);
            }
        }
    }
}

/// Whether a Service, or one that its routes lead to, has an endpoint on one of these nodes.
fn on_nodes_of(name: &ServicePortName, nodes: &EjectedNodes, scene: &Scene<'_>) -> bool {
    if nodes.is_empty() {
        return false;
    }
    let snapshot = scene.planner.snapshot();
    let services = snapshot.destinations(&name.service).into_iter().chain([&name.service]);
    let slices = services.filter_map(|service| snapshot.slices.get(service));
    slices.flat_map(|slices| slices.values()).any(|slice| touches(slice, nodes))
}
