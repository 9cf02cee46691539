use std::net::IpAddr;

use etm_model::Node;
use k8s_openapi::api::core::v1;

use super::{
    Converted, address,
    metadata::{Identity, label},
    report::Report,
};

const ZONE: &str = "topology.kubernetes.io/zone";
/// Taint of a node that the cluster autoscaler is about to delete (KEP-3836).
const TO_BE_DELETED: &str = "ToBeDeletedByClusterAutoscaler";

/// Converts a Node. Its addresses are those of `status.addresses` of type InternalIP and
/// ExternalIP, without loopback.
#[must_use]
pub fn node(object: &v1::Node) -> Converted<Node> {
    let identity = match Identity::cluster_wide("Node", &object.metadata) {
        Ok(identity) => identity,
        Err(problems) => return Converted::refused(problems),
    };
    let name = identity.name.name;
    let mut report = Report::on(format!("Node {name}"));
    let node = Node {
        name,
        zone: label(&object.metadata, ZONE).filter(|zone| !zone.is_empty()).map(Into::into),
        addresses: addresses(object, &mut report),
        deleting: is_being_deleted(object),
    };
    Converted {
        object: Some(node),
        created: identity.created,
        proxy: None,
        problems: report.finish(),
        stays: None,
    }
}

fn addresses(object: &v1::Node, report: &mut Report) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    let listed = object.status.as_ref().and_then(|status| status.addresses.as_ref());
    for (i, listed) in listed.into_iter().flatten().enumerate() {
        // Hostname and the DNS types are names.
        if !matches!(listed.type_.as_str(), "InternalIP" | "ExternalIP") {
            continue;
        }
        match address::parse_virtual(&listed.address) {
            Ok(ip) if addresses.contains(&ip) => {}
            Ok(ip) => addresses.push(ip),
            Err(error) => report.add(
                format!("status.addresses[{i}].address"),
                format!("`{}` {error}", listed.address),
                "no node port is served on it",
            ),
        }
    }
    addresses
}

fn is_being_deleted(object: &v1::Node) -> bool {
    let taints = object.spec.as_ref().and_then(|spec| spec.taints.as_deref()).unwrap_or_default();
    object.metadata.deletion_timestamp.is_some()
        || taints.iter().any(|taint| taint.key == TO_BE_DELETED)
}
