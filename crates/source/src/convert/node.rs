use std::{net::IpAddr, sync::Arc};

use k8s_openapi::api::core::v1;

use super::{Converted, address, metadata::Identity, report::Report};

/// A Node, reduced to the addresses on which it serves node ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeAddresses {
    /// Its name.
    pub name: Arc<str>,
    /// `status.addresses` of type InternalIP and ExternalIP, without loopback.
    pub addresses: Vec<IpAddr>,
}

/// Reduces a Node.
#[must_use]
pub fn node(object: &v1::Node) -> Converted<NodeAddresses> {
    let identity = match Identity::cluster_wide("Node", &object.metadata) {
        Ok(identity) => identity,
        Err(problems) => return Converted::refused(problems),
    };
    let name = identity.name.name;
    let mut report = Report::on(format!("Node {name}"));
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
    Converted {
        object: Some(NodeAddresses { name, addresses }),
        created: identity.created,
        proxy: None,
        problems: report.finish(),
    }
}
