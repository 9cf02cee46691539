use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt as _;

use crate::{NodeHealth, NodeMonitor, NodeReport, Release, TrafficPolicy, TrafficRoute};

/// The definitions of all kinds, as a cluster is to have them.
#[must_use]
pub fn definitions() -> [CustomResourceDefinition; 6] {
    let all = [
        TrafficPolicy::crd(),
        TrafficRoute::crd(),
        Release::crd(),
        NodeMonitor::crd(),
        NodeHealth::crd(),
        NodeReport::crd(),
    ];
    all.map(|mut definition| {
        let label = ("app.kubernetes.io/name".to_owned(), "etm".to_owned());
        definition.metadata.labels = Some([label].into());
        definition
    })
}
