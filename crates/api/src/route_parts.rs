//! Whom a route is for, and where it leads.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::LabelSelector;

/// Callers that meet all that is said. A caller of which something is not known is not selected by
/// what asks for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(
    "has(self.namespaces) || has(self.namespaceSelector) || has(self.podSelector) || \
     has(self.serviceAccounts) || has(self.nodes) || has(self.addressBlocks)")
    .message("says nothing of callers; name at least one of namespaces, namespaceSelector, \
              podSelector, serviceAccounts, nodes and addressBlocks, or take from away, which is \
              everyone"))]
pub struct RouteCallers {
    /// Pods in one of these namespaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 64),
        inner(length(min = 1, max = 63)),
        extend("x-kubernetes-list-type" = "atomic")
    )]
    pub namespaces: Option<Vec<String>>,
    /// Pods in namespaces with these labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<LabelSelector>,
    /// Pods with these labels, of any namespace unless it is said which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_selector: Option<LabelSelector>,
    /// Pods that run as one of these service accounts, which are of the Pod's own namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 64),
        inner(length(min = 1, max = 253)),
        extend("x-kubernetes-list-type" = "atomic")
    )]
    pub service_accounts: Option<Vec<String>>,
    /// Callers on one of these nodes: their Pods, and processes that are of no Pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 64),
        inner(length(min = 1, max = 253)),
        extend("x-kubernetes-list-type" = "atomic")
    )]
    pub nodes: Option<Vec<String>>,
    /// Processes that are of no Pod, on nodes with an address in one of these blocks: `10.0.0.0/8`,
    /// `fd00::/8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 64),
        inner(length(min = 1, max = 49)),
        extend("x-kubernetes-list-type" = "atomic")
    )]
    #[x_kube(validation = Rule::new("self.all(block, isCIDR(block))")
        .message("an address block is written as 10.0.0.0/8 or fd00::/8"))]
    pub address_blocks: Option<Vec<String>>,
}

/// One of those among which connections are divided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = Rule::new("has(self.service) != has(self.subset)")
    .message("a destination has either service or subset; make two of it, or add the one that is \
              meant"))]
pub struct RouteDestination {
    /// The Pods of a Service, headless ones too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<RouteService>,
    /// Those Pods of the target Service that have these labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subset: Option<LabelSelector>,
    /// Its share among the others.
    #[serde(default = "one")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub weight: i32,
}

/// A Service that connections are led to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct RouteService {
    /// Name of the Service.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// Its namespace, by default the route's. A Service of another one must be opened to routes of
    /// this namespace by a ReferenceGrant there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
    /// Name or number of its port. By default the port with the name of the one that was called, else
    /// with its number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new(
        "type(self) == int ? self >= 1 && self <= 65535 : size(self) >= 1 && size(self) <= 63")
        .message("a port is its name, or a number from 1 to 65535"))]
    pub port: Option<IntOrString>,
}

fn one() -> i32 {
    1
}
