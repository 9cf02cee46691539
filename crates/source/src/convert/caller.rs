use etm_model::{Pod, QosClass};
use k8s_openapi::api::core::v1;

use super::{
    Converted, address,
    metadata::{Identity, pairs},
    report::Report,
};

/// Annotation of the object that stands for a static Pod: the UID of that Pod.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// Reduces a Pod of this node to what is needed of a caller. One that has finished is none.
#[must_use]
pub fn caller(object: &v1::Pod) -> Converted<Pod> {
    let identity = match Identity::namespaced("Pod", &object.metadata) {
        Ok(identity) => identity,
        Err(problems) => return Converted::refused(problems),
    };
    let mut report = Report::on(format!("Pod {}", identity.name));
    let status = object.status.as_ref();
    let spec = object.spec.as_ref();
    let annotations = object.metadata.annotations.as_ref();
    let mirrored = annotations.and_then(|annotations| annotations.get(MIRROR));
    let uid = mirrored.or(object.metadata.uid.as_ref()).map(String::as_str).unwrap_or_default();
    let mut addresses = Vec::new();
    for (i, listed) in
        status.and_then(|status| status.pod_ips.as_ref()).into_iter().flatten().enumerate()
    {
        match address::parse_endpoint(&listed.ip) {
            Ok(ip) => addresses.push(ip),
            Err(error) => report.add(
                format!("status.podIPs[{i}].ip"),
                format!("`{}` {error}", listed.ip),
                "this address is left out",
            ),
        }
    }
    let pod = Pod {
        name: identity.name,
        uid: uid.into(),
        labels: pairs(object.metadata.labels.as_ref()),
        service_account: spec
            .and_then(|spec| spec.service_account_name.as_deref())
            .unwrap_or_default()
            .into(),
        addresses,
        qos: match status.and_then(|status| status.qos_class.as_deref()) {
            Some("Guaranteed") => QosClass::Guaranteed,
            Some("Burstable") => QosClass::Burstable,
            _ => QosClass::BestEffort,
        },
        host_network: spec.and_then(|spec| spec.host_network).unwrap_or(false),
    };
    let finished =
        matches!(status.and_then(|status| status.phase.as_deref()), Some("Succeeded" | "Failed"));
    Converted {
        object: (!finished).then_some(pod),
        created: identity.created,
        proxy: None,
        problems: report.finish(),
        stays: None,
    }
}
