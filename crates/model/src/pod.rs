//! The Pods of this node, as callers.

use std::{net::IpAddr, sync::Arc};

use crate::object::ObjectName;

/// Quality of service, which decides the cgroup above that of the Pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QosClass {
    /// Every container has its limits and requests equal.
    Guaranteed,
    /// Some container has a request or a limit.
    Burstable,
    /// No container has any.
    #[default]
    BestEffort,
}

/// A Pod of this node that runs or is about to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Its name.
    pub name: ObjectName,
    /// The UID in the name of its cgroup: `metadata.uid`, and for the mirror of a static Pod the
    /// UID that the kubelet knows (annotation `kubernetes.io/config.mirror`).
    pub uid: Arc<str>,
    /// Its labels, ordered by key.
    pub labels: Vec<(Arc<str>, Arc<str>)>,
    /// `spec.serviceAccountName`.
    pub service_account: Arc<str>,
    /// `status.podIPs`; empty until the Pod has some.
    pub addresses: Vec<IpAddr>,
    /// `status.qosClass`.
    pub qos: QosClass,
    /// `spec.hostNetwork`.
    pub host_network: bool,
}

/// One change of the Pods of this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PodChange {
    /// A Pod was made or changed.
    Set(Pod),
    /// A Pod is gone or has finished: its name and the UID that was told.
    Remove(ObjectName, Arc<str>),
}
