use etm_api::POD_WEIGHT;
use etm_model::{ObjectName, Weight};
use k8s_openapi::{api::core::v1, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::core::PartialObjectMeta;

use super::{Converted, metadata::Identity, report::Report};

/// A Pod, and the weight that its annotation gives it, if it has one.
#[must_use]
pub fn pod_weight(object: &PartialObjectMeta<v1::Pod>) -> Converted<(ObjectName, Option<Weight>)> {
    let identity = match Identity::namespaced("Pod", &object.metadata) {
        Ok(identity) => identity,
        Err(problems) => return Converted::refused(problems),
    };
    let mut report = Report::on(format!("Pod {}", identity.name));
    let weight = weight(&object.metadata, &mut report);
    Converted {
        object: Some((identity.name, weight)),
        created: identity.created,
        proxy: None,
        problems: report.finish(),
        stays: None,
    }
}

/// The annotation's value; one that cannot be read counts as 1.
pub(super) fn weight(metadata: &ObjectMeta, report: &mut Report) -> Option<Weight> {
    let text = metadata.annotations.as_ref()?.get(POD_WEIGHT)?;
    let weight = text.parse().ok().and_then(Weight::new);
    if weight.is_none() {
        report.add(
            format!("metadata.annotations[{POD_WEIGHT}]"),
            format!("`{text}` is not a number from 1 to {}", Weight::MAX),
            "correct it, it counts as 1 until then; to take a Pod out of service, make it not ready",
        );
    }
    Some(weight.unwrap_or_default())
}
