//! From Kubernetes' own types to those of `etm-model`: every default filled in, every field
//! checked. What is bad is left out and told as a [`Problem`]; the rest of the object stays.
//! Pure, and the same for a directory of manifests and for a watch on an API server.

mod address;
mod caller;
mod ejected;
mod fields;
mod gateway;
mod labels;
mod locality;
mod metadata;
mod monitor;
mod namespace;
mod node;
mod pod;
mod policy_health;
mod policy_probe;
mod port;
mod release;
mod report;
mod route_callers;
mod service;
mod service_address;
mod service_port;
mod service_traffic;
mod slice;
mod traffic_policy;
mod traffic_route;
mod weight;

use etm_model::{ObjectName, Problem, Timestamp};

pub use caller::caller;
pub use ejected::{NODE_HEALTH, node_health, node_monitor};
pub use gateway::{
    GATEWAY_GROUP, GatewayRoute, NotAccepted, Parent, gateway_route, is_service, reference_grant,
};
pub use namespace::namespace;
pub use node::node;
pub use pod::{ContainerPort, Pod, pod};
pub use release::{Routes, Unbegun, release};
pub use service::{ServiceObject, headless, service};
pub use service_port::{PodSelection, Target, TargetPort};
pub use slice::endpoint_slice;
pub use traffic_policy::traffic_policy;
pub use traffic_route::traffic_route;
pub use weight::pod_weight;

pub(crate) use address::family_name;
pub(crate) use metadata::{HEADLESS, PROXY_NAME};
pub(crate) use namespace::labels;
pub(crate) use release::{
    release_spec, routed as release_routed, status as release_status, unbegun,
};
pub(crate) use slice::{SERVICE_NAME, triggered};

/// What became of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Converted<T> {
    /// The object; `None` where it is not one that a proxy handles or can use.
    pub object: Option<T>,
    /// `metadata.creationTimestamp`, in seconds since the Unix epoch.
    pub created: Option<Timestamp>,
    /// Label `service.kubernetes.io/service-proxy-name`: the only proxy that may handle it.
    pub proxy: Option<Box<str>>,
    /// What is wrong with it.
    pub problems: Vec<Problem>,
    /// Its name, where it cannot be used and what it said before is to count until it can.
    pub stays: Option<ObjectName>,
}

impl<T> Converted<T> {
    /// Nothing usable, for these reasons.
    fn refused(problems: Vec<Problem>) -> Self {
        Self { object: None, created: None, proxy: None, problems, stays: None }
    }

    /// The same with another form of the object.
    pub(crate) fn map<U>(self, form: impl FnOnce(T) -> U) -> Converted<U> {
        let Self { object, created, proxy, problems, stays } = self;
        Converted { object: object.map(form), created, proxy, problems, stays }
    }

    /// The same, or nothing at all where the object is for another proxy than the one of this
    /// name. `None` is a proxy without a name, for which all unlabelled objects are.
    #[must_use]
    pub fn for_proxy(self, name: Option<&str>) -> Self {
        match self.proxy.as_deref() {
            Some(named) if Some(named) != name => Self::refused(Vec::new()),
            _ => self,
        }
    }
}
