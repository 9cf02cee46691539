use std::{net::IpAddr, sync::Arc};

use etm_model::{Locality, ObjectName, Protocol, Weight};
use k8s_openapi::api::core::v1;

use super::{
    Converted, address,
    caller::caller,
    locality::locality,
    metadata::{Identity, pairs},
    port,
    report::Report,
    weight::weight,
};

/// A named port of a Pod's container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerPort {
    /// `name`, never empty.
    pub name: Arc<str>,
    /// `protocol`.
    pub protocol: Protocol,
    /// `containerPort`, never 0.
    pub port: u16,
}

/// A Pod, reduced to what its Services' endpoints depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Its name.
    pub name: ObjectName,
    /// Its labels, ordered by key.
    pub labels: Vec<(Arc<str>, Arc<str>)>,
    /// `status.podIPs`, or `status.podIP` where there are none; empty for a Pod that has finished,
    /// since its addresses may already be another Pod's.
    pub addresses: Vec<IpAddr>,
    /// Condition `Ready`.
    pub ready: bool,
    /// `metadata.deletionTimestamp` is set.
    pub terminating: bool,
    /// `spec.nodeName`, where it has one; its zone is known to its Node alone.
    pub locality: Option<Arc<Locality>>,
    /// Named ports of its containers, in their order.
    pub ports: Vec<ContainerPort>,
    /// Annotation `etm.dev/weight`.
    pub weight: Option<Weight>,
    /// The Pod as a caller; none where it has no UID, by which cgroups are named, or has finished.
    pub caller: Option<Arc<etm_model::Pod>>,
}

impl Pod {
    /// Whether a selector means this Pod.
    #[must_use]
    pub fn matches(&self, selector: &[(Arc<str>, Arc<str>)]) -> bool {
        selector.iter().all(|pair| self.labels.binary_search(pair).is_ok())
    }
}

/// Reduces a Pod.
#[must_use]
pub fn pod(object: &v1::Pod) -> Converted<Pod> {
    let identity = match Identity::namespaced("Pod", &object.metadata) {
        Ok(identity) => identity,
        Err(problems) => return Converted::refused(problems),
    };
    let mut report = Report::on(format!("Pod {}", identity.name));
    let status = object.status.as_ref();
    let conditions = status.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let pod = Pod {
        name: identity.name,
        labels: pairs(object.metadata.labels.as_ref()),
        addresses: status.map(|status| addresses(status, &mut report)).unwrap_or_default(),
        ready: conditions.iter().any(|c| c.type_ == "Ready" && c.status == "True"),
        terminating: object.metadata.deletion_timestamp.is_some(),
        locality: locality(
            object.spec.as_ref().and_then(|spec| spec.node_name.as_deref()),
            None,
            None,
        ),
        ports: object.spec.as_ref().map(|spec| ports(spec, &mut report)).unwrap_or_default(),
        weight: weight(&object.metadata, &mut report),
        caller: object.metadata.uid.as_ref().and_then(|_| caller(object).object).map(Arc::new),
    };
    Converted {
        object: Some(pod),
        created: identity.created,
        proxy: None,
        problems: report.finish(),
        stays: None,
    }
}

fn addresses(status: &v1::PodStatus, report: &mut Report) -> Vec<IpAddr> {
    if matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")) {
        return Vec::new();
    }
    let listed = status.pod_ips.as_deref().unwrap_or_default();
    let listed: Vec<(String, &str)> = if listed.is_empty() {
        status.pod_ip.iter().map(|ip| ("status.podIP".to_owned(), ip.as_str())).collect()
    } else {
        (0..).zip(listed).map(|(i, ip)| (format!("status.podIPs[{i}].ip"), &*ip.ip)).collect()
    };
    let mut addresses = Vec::with_capacity(listed.len());
    for (field, text) in listed {
        if text.is_empty() {
            continue;
        }
        match address::parse_endpoint(text) {
            Ok(ip) => addresses.push(ip),
            Err(error) => {
                report.add(field, format!("`{text}` {error}"), "this address is left out");
            }
        }
    }
    addresses
}

/// The named ports of the containers that run as long as the Pod does: sidecars are init
/// containers that restart.
fn ports(spec: &v1::PodSpec, report: &mut Report) -> Vec<ContainerPort> {
    let containers = (0..).zip(&spec.containers).map(|(i, c)| (format!("spec.containers[{i}]"), c));
    let sidecars = (0..)
        .zip(spec.init_containers.iter().flatten())
        .filter(|(_, c)| c.restart_policy.as_deref() == Some("Always"))
        .map(|(i, c)| (format!("spec.initContainers[{i}]"), c));
    let mut ports = Vec::new();
    for (place, container) in containers.chain(sidecars) {
        for (i, listed) in container.ports.iter().flatten().enumerate() {
            let Some(name) = listed.name.as_deref().filter(|name| !name.is_empty()) else {
                continue;
            };
            let Some(number) = port::number(listed.container_port) else {
                report.add(
                    format!("{place}.ports[{i}].containerPort"),
                    port::out_of_range(listed.container_port),
                    port::NUMBER_HINT,
                );
                continue;
            };
            let Some(protocol) = port::protocol(listed.protocol.as_deref()) else {
                let reason = port::unknown_protocol(listed.protocol.as_deref());
                report.add(format!("{place}.ports[{i}].protocol"), reason, port::PROTOCOL_HINT);
                continue;
            };
            ports.push(ContainerPort { name: name.into(), protocol, port: number });
        }
    }
    ports
}
