use std::sync::Arc;

use etm_model::Labels;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{
    Converted,
    metadata::{Identity, pairs},
};

/// Label with the name of a namespace, which the API server adds by itself.
const NAME: &str = "kubernetes.io/metadata.name";

/// The labels of a namespace.
#[must_use]
pub fn namespace(metadata: &ObjectMeta) -> Converted<(Arc<str>, Labels)> {
    let identity = match Identity::cluster_wide("Namespace", metadata) {
        Ok(identity) => identity,
        Err(problems) => return Converted::refused(problems),
    };
    let name = identity.name.name;
    let mut labels = labels(metadata);
    labels.insert(NAME.into(), Arc::clone(&name));
    let (object, created) = (Some((name, labels)), identity.created);
    Converted { object, created, proxy: None, problems: Vec::new(), stays: None }
}

/// Labels by key.
pub(crate) fn labels(metadata: &ObjectMeta) -> Labels {
    pairs(metadata.labels.as_ref()).into_iter().collect()
}
