//! Nodes as far as it takes to tell which of them work, and what is written of that.

use std::{net::IpAddr, sync::Arc, time::Duration};

use etm_api::{NodeHealthStatus, NodeMonitorStatus, UncheckedNodeHealth, UncheckedNodeMonitor};
use etm_model::{Change, EjectedNodes, Monitor, ObjectName, Problem};
use k8s_openapi::{
    api::{coordination::v1 as coordination, core::v1},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{Resource, ResourceExt as _};
use serde::{Deserialize, Serialize};

use super::{
    kind::{Batch, Kind},
    statistics::Watched,
};
use crate::convert::{self, Converted};

/// Which nodes are out, for agents.
pub(super) struct NodeHealths;

impl Kind for NodeHealths {
    const WATCHED: Watched = Watched::NodeHealths;
    const MAY_LACK: bool = true;
    type Object = UncheckedNodeHealth;
    type Model = EjectedNodes;
    type Told = EjectedNodes;

    fn convert(object: &UncheckedNodeHealth) -> Converted<EjectedNodes> {
        convert::node_health(object)
    }

    fn told(model: &EjectedNodes) -> EjectedNodes {
        model.clone()
    }

    fn set(model: EjectedNodes, before: Option<EjectedNodes>, batch: &mut Batch) {
        if before.unwrap_or_default() != model {
            batch.changes.push(Change::SetEjectedNodes(model));
        }
    }

    fn remove(_name: &ObjectName, told: EjectedNodes, batch: &mut Batch) {
        if !told.is_empty() {
            batch.changes.push(Change::SetEjectedNodes(EjectedNodes::new()));
        }
    }
}

/// What one node's own object says of whether it works.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedNode {
    /// `status` and `reason` of the condition `Ready`, where it has one.
    pub ready: Option<(Arc<str>, Arc<str>)>,
    /// Keys of its taints with effect `NoExecute` or `NoSchedule`.
    pub taints: Vec<Arc<str>>,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

/// One change of what is known of nodes, for whoever writes which of them work.
#[derive(Clone, Debug, PartialEq)]
pub enum NodeChange {
    /// A Node was made or changed, or with none is gone.
    Node(Arc<str>, Option<ObservedNode>),
    /// A node's Lease was renewed, for so long; or with none is gone.
    Lease(Arc<str>, Option<Duration>),
    /// A `NodeMonitor` is another, or gone.
    Monitor(Arc<str>, Option<ObservedMonitor>),
    /// The `NodeHealth` is another, or gone.
    Health(Option<ObservedHealth>),
}

/// A `NodeMonitor` as the API server has it.
#[derive(Clone, Debug, PartialEq)]
pub struct ObservedMonitor {
    /// `metadata.resourceVersion`.
    pub version: String,
    /// `metadata.generation`.
    pub generation: Option<i64>,
    /// `status`, as far as it can be read.
    pub status: NodeMonitorStatus,
    /// What its spec says, or all that is wrong with it.
    pub monitor: Result<Monitor, Vec<Problem>>,
}

/// The `NodeHealth` as the API server has it.
#[derive(Clone, Debug, PartialEq)]
pub struct ObservedHealth {
    /// `metadata.resourceVersion`.
    pub version: String,
    /// `status`, as far as it can be read.
    pub status: NodeHealthStatus,
}

/// A Node without what is not needed of it, which is nearly all: labels, images, capacities.
#[derive(Resource, Clone, Debug, Serialize, Deserialize)]
#[resource(inherit = v1::Node)]
pub(super) struct SlimNode {
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Spec {
    #[serde(default)]
    taints: Vec<v1::Taint>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Status {
    #[serde(default)]
    conditions: Vec<Condition>,
    #[serde(default)]
    addresses: Vec<v1::NodeAddress>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    #[serde(default)]
    reason: String,
}

/// All nodes.
pub(super) struct AllNodes;

impl Kind for AllNodes {
    const WATCHED: Watched = Watched::Nodes;
    type Object = SlimNode;
    type Model = (Arc<str>, ObservedNode);
    /// All of it: heartbeats change nothing that is needed here.
    type Told = ObservedNode;

    fn convert(object: &SlimNode) -> Converted<Self::Model> {
        let SlimNode { spec, status, .. } = object;
        let mut conditions = status.conditions.iter();
        let ready = conditions.find(|condition| condition.kind == "Ready");
        let executes = |taint: &&v1::Taint| taint.effect != "PreferNoSchedule";
        let node = ObservedNode {
            ready: ready.map(|ready| (ready.status.as_str().into(), ready.reason.as_str().into())),
            taints: spec.taints.iter().filter(executes).map(|t| t.key.as_str().into()).collect(),
            addresses: status.addresses.iter().filter_map(|one| one.address.parse().ok()).collect(),
        };
        plain((object.name_any().into(), node))
    }

    fn told((_, node): &Self::Model) -> ObservedNode {
        node.clone()
    }

    fn set((name, node): Self::Model, before: Option<ObservedNode>, batch: &mut Batch) {
        if before.as_ref() != Some(&node) {
            batch.nodes.push(NodeChange::Node(name, Some(node)));
        }
    }

    fn remove(name: &ObjectName, _told: ObservedNode, batch: &mut Batch) {
        batch.nodes.push(NodeChange::Node(Arc::clone(&name.name), None));
    }
}

/// A Lease without what is not needed of it.
#[derive(Resource, Clone, Debug, Serialize, Deserialize)]
#[resource(inherit = coordination::Lease)]
pub(super) struct SlimLease {
    metadata: ObjectMeta,
    #[serde(default)]
    spec: LeaseSpec,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LeaseSpec {
    renew_time: Option<String>,
    lease_duration_seconds: Option<u32>,
}

/// The Leases by which kubelets say that they live.
pub(super) struct NodeLeases;

/// How long a Lease holds that does not say so, as kubelet has it.
const LEASE: Duration = Duration::from_secs(40);

impl Kind for NodeLeases {
    const WATCHED: Watched = Watched::NodeLeases;
    type Object = SlimLease;
    type Model = (Arc<str>, LeaseTold);
    type Told = Option<String>;

    fn convert(object: &SlimLease) -> Converted<Self::Model> {
        let LeaseSpec { renew_time, lease_duration_seconds } = object.spec.clone();
        let duration = lease_duration_seconds.map(|seconds| Duration::from_secs(seconds.into()));
        plain((object.name_any().into(), (renew_time, duration.unwrap_or(LEASE))))
    }

    fn told((_, (renewed, _)): &Self::Model) -> Option<String> {
        renewed.clone()
    }

    fn set(model: Self::Model, before: Option<Option<String>>, batch: &mut Batch) {
        let (name, (renewed, duration)) = model;
        // Whoever changes a label of it says nothing of the node.
        if before != Some(renewed) {
            batch.nodes.push(NodeChange::Lease(name, Some(duration)));
        }
    }

    fn remove(name: &ObjectName, _told: Option<String>, batch: &mut Batch) {
        batch.nodes.push(NodeChange::Lease(Arc::clone(&name.name), None));
    }
}

/// `renewTime`, which is only compared with what it was before, and how long it holds.
type LeaseTold = (Option<String>, Duration);

/// Monitors of nodes.
pub(super) struct NodeMonitors;

impl Kind for NodeMonitors {
    const WATCHED: Watched = Watched::NodeMonitors;
    const MAY_LACK: bool = true;
    type Object = UncheckedNodeMonitor;
    type Model = (Arc<str>, ObservedMonitor);
    type Told = ();

    fn convert(object: &UncheckedNodeMonitor) -> Converted<Self::Model> {
        let Converted { object: monitor, problems, .. } = convert::node_monitor(object);
        let observed = ObservedMonitor {
            version: object.resource_version().unwrap_or_default(),
            generation: object.metadata.generation,
            status: serde_json::from_value(object.status.clone()).unwrap_or_default(),
            monitor: monitor.ok_or(problems),
        };
        plain((object.name_any().into(), observed))
    }

    fn told(_model: &Self::Model) -> Self::Told {}

    fn set((name, monitor): Self::Model, _before: Option<()>, batch: &mut Batch) {
        batch.nodes.push(NodeChange::Monitor(name, Some(monitor)));
    }

    fn remove(name: &ObjectName, (): (), batch: &mut Batch) {
        batch.nodes.push(NodeChange::Monitor(Arc::clone(&name.name), None));
    }
}

/// What this or another controller has written of nodes.
pub(super) struct WrittenHealth;

impl Kind for WrittenHealth {
    const WATCHED: Watched = Watched::NodeHealths;
    const MAY_LACK: bool = true;
    type Object = UncheckedNodeHealth;
    type Model = ObservedHealth;
    type Told = ();

    fn convert(object: &UncheckedNodeHealth) -> Converted<ObservedHealth> {
        let version = object.resource_version().unwrap_or_default();
        let status = serde_json::from_value(object.status.clone()).unwrap_or_default();
        plain(ObservedHealth { version, status })
    }

    fn told(_model: &ObservedHealth) -> Self::Told {}

    fn set(model: ObservedHealth, _before: Option<()>, batch: &mut Batch) {
        batch.nodes.push(NodeChange::Health(Some(model)));
    }

    fn remove(_name: &ObjectName, (): (), batch: &mut Batch) {
        batch.nodes.push(NodeChange::Health(None));
    }
}

/// An object of which nothing is wrong, or has told of it itself.
pub(super) fn plain<T>(object: T) -> Converted<T> {
    Converted {
        object: Some(object),
        created: None,
        proxy: None,
        problems: Vec::new(),
        stays: None,
    }
}
