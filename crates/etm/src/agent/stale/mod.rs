//! Sockets that still point at a Pod that is gone or ejected: which ones are to be ended.
//!
//! A Pod that left a Service's members is gone once no slice of the Service has it as one that
//! serves: until then it is finishing what it has, or only this node chooses others. A version that a
//! release has left is named by the Plan.

mod worker;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use etm_dataplane::{Dataplane, Led};
use etm_model::{
    BackendKey, Delta, FrontendKey, Listener, Member, ObjectName, Plan, PlannedFrontend, Pool,
    Problem, Snapshot, Stale, is_member,
};
use tracing::warn;

use self::worker::Worker;
use crate::metrics::{Metrics, Stale as Why};

/// Frontends whose stale sockets are ended, and what they lead to.
pub(super) struct StaleConnections {
    worker: Worker,
    frontends: BTreeMap<FrontendKey, Watched>,
    /// Members that left and still serve, with their Service.
    leaving: BTreeMap<Led, ObjectName>,
    /// Where sockets were led that a release has ended.
    abandoned: BTreeSet<Led>,
}

struct Watched {
    service: ObjectName,
    pool: Pool,
}

/// What became of a backend's verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moved {
    /// It was taken out of service.
    Out(BackendKey),
    /// It is back.
    Back(BackendKey),
}

impl StaleConnections {
    pub(super) fn start(dataplane: &Dataplane, metrics: Arc<Metrics>) -> anyhow::Result<Self> {
        Ok(Self {
            worker: Worker::start(dataplane, metrics)?,
            frontends: BTreeMap::new(),
            leaving: BTreeMap::new(),
            abandoned: BTreeSet::new(),
        })
    }

    /// Why sockets stay that ought to be ended.
    pub(super) fn problem(&self) -> Option<Problem> {
        self.worker.problem()
    }

    /// Takes in a whole Plan, and what sockets there are from before.
    pub(super) fn follow_all(&mut self, plan: &Plan, snapshot: &Snapshot, dataplane: &Dataplane) {
        let before = std::mem::take(&mut self.frontends);
        self.abandoned.clear();
        for key in before.keys().chain(plan.frontends.keys()).collect::<BTreeSet<_>>() {
            self.set(*key, before.get(key), plan.frontends.get(key));
            self.abandon(*key, plan.frontends.get(key));
        }
        let led = dataplane.led().unwrap_or_else(|error| {
            warn!("sockets to Pods that went while no agent ran may stay: {error}");
            Vec::new()
        });
        for (key, backend) in led {
            if let Some(watched) = self.frontends.get(&key)
                && !is_member(&watched.pool, &backend)
            {
                self.leaving.insert((key, backend), watched.service.clone());
            }
        }
        self.let_go(snapshot);
    }

    /// Takes in what changed of a Plan, and a Snapshot of which anything may have changed.
    pub(super) fn follow(&mut self, delta: &Delta, plan: &Plan, snapshot: &Snapshot) {
        for key in delta.set.keys().chain(&delta.remove) {
            let before = self.frontends.remove(key);
            self.set(*key, before.as_ref(), plan.frontends.get(key));
            self.abandon(*key, plan.frontends.get(key));
        }
        self.let_go(snapshot);
    }

    /// Has the sockets ended that a frontend led to a version that a release has left: once for each
    /// Pod, and anew for one that callers were led to meanwhile.
    fn abandon(&mut self, key: FrontendKey, planned: Option<&PlannedFrontend>) {
        let backends = planned.and_then(|planned| planned.abandoned.as_deref()).unwrap_or_default();
        let now: BTreeSet<Led> = backends.iter().map(|backend| (key, *backend)).collect();
        let before = self.abandoned.extract_if(.., |led| led.0 == key).collect::<BTreeSet<_>>();
        let back: BTreeSet<_> = before.difference(&now).collect();
        if !back.is_empty() {
            self.worker.spare(|led| back.contains(led));
        }
        let left: Vec<Led> = now.difference(&before).copied().collect();
        if !left.is_empty() {
            self.worker.end(left, Why::Released);
        }
        self.abandoned.extend(now);
    }

    fn set(
        &mut self,
        key: FrontendKey,
        before: Option<&Watched>,
        planned: Option<&PlannedFrontend>,
    ) {
        let ends = |planned: &&PlannedFrontend| {
            planned.stale == Stale::End && key.listener != Listener::AnyPort
        };
        let keeps = planned.is_some_and(|planned| planned.stale == Stale::Keep);
        let now = planned.filter(ends);
        if keeps {
            self.leaving.retain(|led, _| led.0 != key);
            self.worker.spare(|led| led.0 == key);
        }
        if let Some(before) = before.filter(|_| !keeps) {
            let pool: &[Member] = now.map_or(&[], |now| &now.pool);
            let left = before.pool.iter().filter(|member| !is_member(pool, &member.backend));
            let left = left.map(|member| ((key, member.backend), before.service.clone()));
            self.leaving.extend(left);
        }
        let Some(now) = now else { return };
        let is_left = |backend: &BackendKey| {
            now.abandoned.as_ref().is_some_and(|left| left.contains(backend))
        };
        let is_back = |led: &Led| led.0 == key && is_member(&now.pool, &led.1) && !is_left(&led.1);
        self.leaving.retain(|led, _| !is_back(led));
        self.worker.spare(|led| is_back(led));
        let watched = Watched { service: now.service.service.clone(), pool: Arc::clone(&now.pool) };
        self.frontends.insert(key, watched);
    }

    /// Has the sockets ended of those that serve no longer.
    fn let_go(&mut self, snapshot: &Snapshot) {
        let gone = self.leaving.extract_if(.., |led, service| !serves(snapshot, service, &led.1));
        let gone: Vec<Led> = gone.map(|(led, _)| led).collect();
        if !gone.is_empty() {
            self.worker.end(gone, Why::Gone);
        }
    }

    /// Takes in that a backend was taken out of service, or is back.
    pub(super) fn moved(&mut self, moved: Moved) {
        match moved {
            Moved::Out(backend) => {
                let members =
                    self.frontends.iter().filter(|(_, watched)| is_member(&watched.pool, &backend));
                let members = members.map(|(key, _)| (*key, backend));
                let left = self.leaving.keys().filter(|led| led.1 == backend).copied();
                let led: Vec<Led> = members.chain(left).collect();
                self.worker.end(led, Why::Ejected);
            }
            Moved::Back(backend) => self.worker.spare(|led| led.1 == backend),
        }
    }
}

/// Whether a slice of a Service has an endpoint that serves.
fn serves(snapshot: &Snapshot, service: &ObjectName, backend: &BackendKey) -> bool {
    let slices = snapshot.slices.get(service).into_iter().flat_map(|slices| slices.values());
    slices
        .flat_map(|slice| &slice.endpoints)
        .any(|endpoint| (endpoint.ready || endpoint.serving) && endpoint.address == backend.ip)
}
