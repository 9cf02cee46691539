use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt as _;

use crate::{NodeHealth, NodeMonitor, Release, TrafficPolicy};

/// The definitions of all kinds, as a cluster is to have them.
#[must_use]
pub fn definitions() -> [CustomResourceDefinition; 4] {
    [TrafficPolicy::crd(), NodeMonitor::crd(), NodeHealth::crd(), Release::crd()].map(
        |mut definition| {
            let label = ("app.kubernetes.io/name".to_owned(), "etm".to_owned());
            definition.metadata.labels = Some([label].into());
            definition
        },
    )
}
