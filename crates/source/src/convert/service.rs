use std::sync::Arc;

use etm_model::{Family, ObjectName, Service};
use k8s_openapi::api::core::v1;

use super::{
    Converted,
    metadata::{HEADLESS, Identity, PROXY_NAME, label, pairs},
    report::Report,
    service_address,
    service_port::{self, PodSelection},
    service_traffic,
};

/// A Service that a proxy handles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceObject {
    /// What the model needs of it.
    pub service: Service,
    /// How its Pods are found where it has no EndpointSlice; `None` where it has no selector, and
    /// its owner writes the slices.
    pub selection: Option<Arc<PodSelection>>,
}

/// Converts a Service. Headless and ExternalName Services are left alone without a word.
#[must_use]
pub fn service(object: &v1::Service) -> Converted<ServiceObject> {
    let identity = match Identity::namespaced("Service", &object.metadata) {
        Ok(identity) => identity,
        Err(problems) => return Converted::refused(problems),
    };
    let mut report = Report::on(format!("Service {}", identity.name));
    let created = identity.created;
    Converted {
        object: convert(object, identity, &mut report),
        created,
        proxy: label(&object.metadata, PROXY_NAME).map(Into::into),
        problems: report.finish(),
        stays: None,
    }
}

fn convert(
    object: &v1::Service,
    Identity { name, created }: Identity,
    report: &mut Report,
) -> Option<ServiceObject> {
    let Some(spec) = &object.spec else {
        report.add("spec", "is missing", "the Service is left alone until it has one");
        return None;
    };
    let (node_ports, load_balancer) = match spec.type_.as_deref() {
        None | Some("" | "ClusterIP") => (false, false),
        Some("NodePort") => (true, false),
        Some("LoadBalancer") => (true, true),
        Some("ExternalName") => return None,
        Some(other) => {
            let hint = "use ClusterIP, NodePort, LoadBalancer or ExternalName; \
                        the Service is left alone until then";
            report.add("spec.type", format!("`{other}` is not known"), hint);
            return None;
        }
    };
    if is_headless(object, spec) {
        return None;
    }
    let status = object.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let ingress = status.and_then(|status| status.ingress.as_deref()).unwrap_or_default();
    let (addresses, families) = service_address::addresses(spec, ingress, load_balancer, report);
    if spec.cluster_ip.as_deref().unwrap_or_default().is_empty()
        && spec.cluster_ips.as_deref().unwrap_or_default().is_empty()
    {
        let hint = "write down an address that nothing else has; the API server would pick one, \
                    a directory cannot";
        report.add("spec.clusterIPs", "is missing", hint);
    }
    let listed = spec.ports.as_deref().unwrap_or_default();
    if listed.is_empty() {
        report.add("spec.ports", "is missing", "give it a port; no connection reaches it");
    }
    let (ports, targets) = service_port::ports(listed, node_ports, report);
    let selector = pairs(spec.selector.as_ref());
    let selection = (!selector.is_empty()).then(|| {
        let publish_not_ready = spec.publish_not_ready_addresses.unwrap_or(false);
        Arc::new(PodSelection { selector, families, ports: targets, publish_not_ready })
    });
    let internal_policy = service_traffic::policy(
        spec.internal_traffic_policy.as_deref(),
        "spec.internalTrafficPolicy",
        report,
    );
    let external_policy = service_traffic::policy(
        spec.external_traffic_policy.as_deref(),
        "spec.externalTrafficPolicy",
        report,
    );
    let health_check_port =
        service_traffic::health_check_port(spec, load_balancer, external_policy, report);
    let source_ranges =
        service_traffic::source_ranges(&object.metadata, spec, load_balancer, report);
    let service = Service {
        name,
        created,
        addresses,
        ports,
        internal_policy,
        external_policy,
        health_check_port,
        source_ranges,
        affinity: service_traffic::affinity(spec, report),
        publish_not_ready: spec.publish_not_ready_addresses.unwrap_or(false),
        selector: selection.as_ref().map(|selection| selection.selector.as_slice().into()),
    };
    Some(ServiceObject { service, selection })
}

/// How the Pods of a headless Service are found where it has no EndpointSlice: no proxy serves it, but
/// routes may lead there. `None` for any other, and for one without a selector.
#[must_use]
pub fn headless(object: &v1::Service) -> Option<Converted<(ObjectName, Arc<PodSelection>)>> {
    let spec = object.spec.as_ref()?;
    let is_cluster_ip = matches!(spec.type_.as_deref(), None | Some("" | "ClusterIP"));
    let selector = pairs(spec.selector.as_ref());
    if !is_cluster_ip || selector.is_empty() || !is_headless(object, spec) {
        return None;
    }
    let Identity { name, created } = match Identity::namespaced("Service", &object.metadata) {
        Ok(identity) => identity,
        Err(problems) => return Some(Converted::refused(problems)),
    };
    let mut report = Report::on(format!("Service {name}"));
    let families = service_address::declared_families(spec, &mut report);
    let listed = spec.ports.as_deref().unwrap_or_default();
    let (_, ports) = service_port::ports(listed, false, &mut report);
    let selection = PodSelection {
        selector,
        families: families.unwrap_or_else(|| vec![Family::V4, Family::V6]),
        ports,
        publish_not_ready: spec.publish_not_ready_addresses.unwrap_or(false),
    };
    Some(Converted {
        object: Some((name, Arc::new(selection))),
        created,
        proxy: label(&object.metadata, PROXY_NAME).map(Into::into),
        problems: report.finish(),
        stays: None,
    })
}

fn is_headless(object: &v1::Service, spec: &v1::ServiceSpec) -> bool {
    let first = spec.cluster_ips.as_ref().and_then(|ips| ips.first());
    label(&object.metadata, HEADLESS).is_some()
        || spec.cluster_ip.as_deref() == Some("None")
        || first.is_some_and(|ip| ip == "None")
}
