//! Which nodes are out, and what is written of that.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use etm_api::{
    EjectedNode, NodeHealth, NodeHealthSpec, NodeHealthStatus, NodeMonitor, UncheckedNodeHealth,
    UncheckedNodeMonitor,
};
use etm_model::Problem;
use etm_monitor::{Ejection, NodeSigns, Subject, Verdict};
use etm_source::{
    convert::NODE_HEALTH,
    kubernetes::{NodeChange, ObservedHealth, ObservedMonitor},
};
use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};
use kube::{
    Api, Client, Resource,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use tokio::time::timeout_at;

use crate::{
    NAME,
    monitored::{Monitored, REACHABLE, Reachable},
    policies::{condition, seconds},
    write::{Outcome, PATIENCE, failed, outcome},
};

/// The condition of `NodeHealth`.
const WITHIN_LIMIT: &str = "WithinLimit";

/// All nodes, what is wrong with them, and what the cluster was told of that.
#[derive(Debug, Default)]
pub struct Nodes {
    signs: NodeSigns,
    monitors: BTreeMap<Arc<str>, Watched>,
    health: Option<ObservedHealth>,
    /// The status that was sent for a version already, empty for the object itself.
    sent: Option<(String, Value)>,
    problem: Option<Problem>,
}

#[derive(Debug)]
struct Watched {
    observed: ObservedMonitor,
    monitored: Monitored,
    sent: Option<(String, Value)>,
    problem: Option<Problem>,
}

/// What is to be written of nodes.
#[derive(Clone, Debug, PartialEq)]
pub enum NodeWrite {
    /// The `NodeHealth` itself, which is not there.
    Create,
    /// Its status, for this version alone.
    Health(String, Value),
    /// The status of a `NodeMonitor`, for this version alone.
    Monitor(Arc<str>, String, Value),
}

/// When nodes count as lost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long a Lease may go without a renewal; without one, what it says itself.
    pub lease: Option<Duration>,
    /// Percent of the nodes that may be out.
    pub most_percent: u8,
}

impl Nodes {
    /// Takes in a change; says whether the verdict may be another now, which it is by few of the
    /// renewals of Leases.
    pub fn update(&mut self, change: NodeChange, limits: Limits, now: Instant) -> bool {
        match change {
            NodeChange::Node(name, node) => self.signs.set_node(name, node),
            NodeChange::Lease(name, duration) => {
                return self.signs.set_lease(name, duration, limits.lease, now);
            }
            NodeChange::Monitor(name, None) => drop(self.monitors.remove(&name)),
            NodeChange::Monitor(name, Some(observed)) => {
                let before = self.monitors.remove(&name);
                let (monitored, sent) =
                    before.map(|before| (before.monitored, before.sent)).unwrap_or_default();
                self.monitors.insert(name, Watched { observed, monitored, sent, problem: None });
            }
            NodeChange::Health(health) => {
                self.sent = self.sent.take().filter(|_| health.is_some());
                self.health = health;
                self.problem = None;
            }
        }
        true
    }

    /// Renewals of Leases may have gone unheard.
    pub fn interrupted(&mut self, limits: Limits, now: Instant) {
        self.signs.interrupted(limits.lease, now);
    }

    /// The nodes and what their own objects say.
    #[must_use]
    pub fn signs(&self) -> &NodeSigns {
        &self.signs
    }

    /// The monitors that can be used.
    pub fn monitors(&self) -> impl Iterator<Item = &etm_model::Monitor> {
        self.monitors.values().filter_map(|watched| watched.observed.monitor.as_ref().ok())
    }

    /// Who was out by monitors, as the cluster was told.
    #[must_use]
    pub fn written(&self) -> Vec<Ejection> {
        let written = self.health.iter().flat_map(|health| &health.status.ejected);
        let written = written.filter_map(|node| {
            Some(Ejection {
                subject: Subject::Node(node.node.as_str().into()),
                monitor: node.monitor.as_deref()?.into(),
                message: node.message.as_str().into(),
                since: node.since.0,
            })
        });
        written.collect()
    }

    /// Takes in what a monitor says, none being its trouble.
    pub fn set_reachable(&mut self, name: &str, reachable: Option<Reachable>) {
        if let Some(watched) = self.monitors.get_mut(name) {
            watched.monitored.reachable = reachable;
        }
    }

    /// Which nodes are out, monitors taking out these.
    #[must_use]
    pub fn verdict(&self, limits: Limits, monitored: &[Ejection], now: Instant) -> Verdict {
        self.signs.verdict(limits.lease, limits.most_percent, monitored, now)
    }

    /// Something that is to be written, as of `time`; none where all is as it should be.
    #[must_use]
    pub fn next(&self, verdict: &Verdict, limits: Limits, time: Timestamp) -> Option<NodeWrite> {
        let monitor = self.monitors.iter().find_map(|(name, watched)| watched.write(name, time));
        let Some(health) = &self.health else {
            let sent = self.sent.as_ref().is_some_and(|(version, _)| version.is_empty());
            return (!sent).then_some(NodeWrite::Create).or(monitor);
        };
        let status = status(&health.status, verdict, limits, time);
        let same = status == health.status;
        // Those of others are theirs to write.
        let own: Vec<_> =
            status.conditions.iter().filter(|one| one.type_ == WITHIN_LIMIT).collect();
        let body = json!({"conditions": own, "ejected": status.ejected});
        let write = (health.version.clone(), body);
        if same || self.sent.as_ref() == Some(&write) {
            return monitor;
        }
        Some(NodeWrite::Health(write.0, write.1))
    }

    /// Takes note of what became of a write.
    pub fn note(&mut self, write: &NodeWrite, outcome: &Outcome) {
        let problem = match outcome {
            Outcome::Written | Outcome::Overtaken => None,
            Outcome::Refused(problem) | Outcome::Failed(problem) => Some(problem.clone()),
        };
        let done = !matches!(outcome, Outcome::Failed(_));
        match write {
            NodeWrite::Create => {
                self.problem = problem;
                self.sent = done.then(|| (String::new(), Value::Null));
            }
            NodeWrite::Health(version, body) => {
                self.problem = problem;
                self.sent = done.then(|| (version.clone(), body.clone()));
            }
            NodeWrite::Monitor(name, version, body) => {
                if let Some(watched) = self.monitors.get_mut(name) {
                    watched.problem = problem;
                    watched.sent = done.then(|| (version.clone(), body.clone()));
                }
            }
        }
    }

    /// The writes that came to nothing.
    pub fn problems(&self) -> impl Iterator<Item = Problem> {
        let monitors = self.monitors.values().filter_map(|watched| watched.problem.clone());
        self.problem.clone().into_iter().chain(monitors)
    }
}

impl Watched {
    fn write(&self, name: &Arc<str>, time: Timestamp) -> Option<NodeWrite> {
        let ObservedMonitor { version, generation, status, monitor } = &self.observed;
        let invalid;
        let reachable = match monitor {
            Ok(_) => self.monitored.reachable.as_ref()?,
            Err(problems) => {
                let told = problems.iter().map(|one| {
                    let Problem { field, reason, hint, .. } = one;
                    format!("{field} {reason} ({hint})")
                });
                let message = told.collect::<Vec<_>>().join("; ");
                invalid = Reachable { status: "False", reason: "Invalid", message };
                &invalid
            }
        };
        let Reachable { status: is, reason, message } = reachable;
        let told = (*is, *reason, message.as_str());
        let condition = condition(&status.conditions, *generation, REACHABLE, told, time);
        let before = status.conditions.iter().find(|one| one.type_ == REACHABLE);
        if before == Some(&condition) && status.observed_generation == *generation {
            return None;
        }
        let body = json!({"conditions": [condition], "observedGeneration": generation});
        let write = (version.clone(), body);
        (self.sent.as_ref() != Some(&write))
            .then(|| NodeWrite::Monitor(Arc::clone(name), write.0, write.1))
    }
}

/// What the status is to be: what is as it was keeps its time.
fn status(
    before: &NodeHealthStatus,
    verdict: &Verdict,
    limits: Limits,
    time: Timestamp,
) -> NodeHealthStatus {
    let (all, bad) = verdict.nodes;
    let most = limits.most_percent;
    let message;
    let told = if verdict.too_many {
        message = format!(
            "more than {most}% of the nodes are bad, so none is ejected; it is as likely that the \
             controller or the API server does not hear of them (--max-ejected-nodes)"
        );
        ("False", "TooManyBad", message.as_str())
    } else {
        message = format!("at most {most}% of the nodes are bad");
        ("True", if bad == 0 || all == 0 { "AllWell" } else { "SomeBad" }, message.as_str())
    };
    let mut ejected: Vec<EjectedNode> = Vec::new();
    for bad in verdict.bad.iter().filter(|_| !verdict.too_many) {
        let monitor = bad.monitor.as_deref().map(str::to_owned);
        let is = |node: &&EjectedNode| {
            *node.node == *bad.node && node.reason == bad.reason && node.monitor == monitor
        };
        ejected.push(EjectedNode {
            node: bad.node.to_string(),
            reason: bad.reason.to_owned(),
            message: bad.message.clone(),
            since: before
                .ejected
                .iter()
                .find(is)
                .map_or_else(|| Time(seconds(time)), |node| node.since.clone()),
            monitor,
        });
    }
    let others = before.conditions.iter().filter(|one| one.type_ != WITHIN_LIMIT).cloned();
    let own: Condition = condition(&before.conditions, None, WITHIN_LIMIT, told, time);
    NodeHealthStatus { conditions: others.chain([own]).collect(), ejected }
}

/// Writes it, before `until`.
pub async fn write_nodes(client: &Client, write: &NodeWrite, until: Instant) -> Outcome {
    let deadline = until.min(Instant::now() + PATIENCE);
    let how = PatchParams::apply(NAME);
    let (object, request) = match write {
        NodeWrite::Create => {
            let health = NodeHealth::new(NODE_HEALTH, NodeHealthSpec {});
            let object = format!("NodeHealth {NODE_HEALTH}");
            let api = Api::<NodeHealth>::all(client.clone());
            let parameters = PostParams::default();
            let made = timeout_at(deadline.into(), api.create(&parameters, &health)).await;
            (object, made.map(|made| made.map(drop)))
        }
        NodeWrite::Health(version, status) => {
            let object = format!("NodeHealth {NODE_HEALTH}");
            let api = Api::<UncheckedNodeHealth>::all(client.clone());
            let body = Patch::Apply(body::<NodeHealth>(NODE_HEALTH, version, status));
            let written = api.patch_status(NODE_HEALTH, &how, &body);
            (object, timeout_at(deadline.into(), written).await.map(|made| made.map(drop)))
        }
        NodeWrite::Monitor(name, version, status) => {
            let object = format!("NodeMonitor {name}");
            let api = Api::<UncheckedNodeMonitor>::all(client.clone());
            let body = Patch::Apply(body::<NodeMonitor>(name, version, status));
            let written = api.patch_status(name, &how, &body);
            (object, timeout_at(deadline.into(), written).await.map(|made| made.map(drop)))
        }
    };
    match request {
        Ok(Ok(())) => Outcome::Written,
        Ok(Err(error)) => outcome(&object, &error),
        Err(_) => Outcome::Failed(failed(&object, "the API server does not answer")),
    }
}

fn body<K: Resource<DynamicType = ()>>(name: &str, version: &str, status: &Value) -> Value {
    json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": {"name": name, "resourceVersion": version},
        "status": status,
    })
}
