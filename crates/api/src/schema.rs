use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt as _;

use crate::TrafficPolicy;

/// The definition of [`TrafficPolicy`], as a cluster is to have it.
#[must_use]
pub fn definition() -> CustomResourceDefinition {
    let mut definition = TrafficPolicy::crd();
    let label = ("app.kubernetes.io/name".to_owned(), "etm".to_owned());
    definition.metadata.labels = Some([label].into());
    definition
}
