//! How a node comes into the cluster, and how it stays there.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::{Api as Objects, Client};
use serde_json::{Value, json};

use super::container::now;
use crate::node::Node;
use crate::{Api, Error};

/// How long the cluster believes in a node that says nothing, in seconds, as kubelet has it.
const LEASE: i32 = 40;

/// Registers a node and waits for the Pod networks that the controllers give it.
pub(super) fn register(
    api: &Api,
    name: &str,
    labels: &BTreeMap<String, String>,
) -> Result<(Ipv4Addr, Ipv6Addr), Error> {
    let node = json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "status": status(name, None),
    });
    api.create("/api/v1/nodes", &node)?;
    let node = api.wait(&path(name), |node| subnets(node).is_some())?;
    subnets(&node).ok_or_else(|| Error::NeverCame { path: path(name), last: node.to_string() })
}

/// Says that a node is ready, and waits until the cluster sends Pods to it.
pub(super) fn announce(api: &Api, name: &str, node: &Node) -> Result<(), Error> {
    let ready = json!({"status": status(name, Some(node))});
    api.merge(&format!("{}/status", path(name)), &ready)?;
    let open = |node: &Value| node["spec"]["taints"].as_array().is_none_or(Vec::is_empty);
    api.wait(&path(name), open).map(drop)
}

/// Says that a node is alive.
pub(super) async fn renew(client: &Client, name: &str) -> Result<(), kube::Error> {
    let leases: Objects<Lease> = Objects::namespaced(client.clone(), "kube-node-lease");
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name},
        "spec": {
            "holderIdentity": name,
            "leaseDurationSeconds": LEASE,
            "renewTime": MicroTime(Timestamp::now()),
        },
    });
    let how = PatchParams::apply("etm-testkit").force();
    leases.patch(name, &how, &Patch::Apply(lease)).await.map(drop)
}

/// Where a node is at the API server.
pub(super) fn path(name: &str) -> String {
    format!("/api/v1/nodes/{name}")
}

/// With a network it is ready.
fn status(name: &str, node: Option<&Node>) -> Value {
    let conditions = [
        ("MemoryPressure", false, "KubeletHasSufficientMemory"),
        ("DiskPressure", false, "KubeletHasNoDiskPressure"),
        ("PIDPressure", false, "KubeletHasSufficientPID"),
        ("Ready", node.is_some(), if node.is_some() { "KubeletReady" } else { "KubeletNotReady" }),
    ]
    .map(|(kind, holds, reason)| {
        let status = if holds { "True" } else { "False" };
        json!({
            "type": kind,
            "status": status,
            "reason": reason,
            "message": reason,
            "lastHeartbeatTime": now(),
            "lastTransitionTime": now(),
        })
    });
    let mut addresses = vec![json!({"type": "Hostname", "address": name})];
    if let Some(node) = node {
        addresses.insert(0, json!({"type": "InternalIP", "address": node.ipv4()}));
        addresses.insert(1, json!({"type": "InternalIP", "address": node.ipv6()}));
    }
    let room = json!({"cpu": "32", "memory": "64Gi", "pods": "110"});
    json!({
        "capacity": room,
        "allocatable": room,
        "addresses": addresses,
        "conditions": conditions,
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10_250}},
    })
}

/// The first addresses of a node's networks, of both families.
fn subnets(node: &Value) -> Option<(Ipv4Addr, Ipv6Addr)> {
    let cidrs = node["spec"]["podCIDRs"].as_array()?;
    let mut firsts = cidrs.iter().filter_map(|cidr| Some(cidr.as_str()?.split_once('/')?.0));
    Some((firsts.next()?.parse().ok()?, firsts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_as_the_controllers_write_them() {
        let node = json!({"spec": {"podCIDRs": ["10.244.3.0/24", "fd00:10:244:3::/64"]}});
        let expected = (Ipv4Addr::new(10, 244, 3, 0), "fd00:10:244:3::".parse().expect("one"));
        assert_eq!(subnets(&node), Some(expected));
        assert_eq!(subnets(&json!({"spec": {"podCIDRs": ["10.244.3.0/24"]}})), None);
    }
}
