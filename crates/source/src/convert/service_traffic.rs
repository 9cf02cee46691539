//! Who may reach a Service, which of its endpoints, and how load balancers hear of them.

use std::{net::IpAddr, sync::Arc};

use etm_model::{Affinity, IpNet, TrafficPolicy};
use k8s_openapi::{api::core::v1, apimachinery::pkg::apis::meta::v1::ObjectMeta};

use super::{port, report::Report};

/// Annotation from before `loadBalancerSourceRanges`: ranges with commas between.
const SOURCE_RANGES: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";

/// A traffic policy; absent means `Cluster`.
pub(super) fn policy(given: Option<&str>, field: &str, report: &mut Report) -> TrafficPolicy {
    match given {
        None | Some("" | "Cluster") => TrafficPolicy::Cluster,
        Some("Local") => TrafficPolicy::Local,
        Some(other) => {
            let hint = "use Cluster or Local; it counts as Cluster until then";
            report.add(field, format!("`{other}` is not known"), hint);
            TrafficPolicy::Cluster
        }
    }
}

/// `sessionAffinity` and its timeout, three hours where none is given.
pub(super) fn affinity(spec: &v1::ServiceSpec, report: &mut Report) -> Option<Affinity> {
    const FIELD: &str = "spec.sessionAffinityConfig.clientIP.timeoutSeconds";
    match spec.session_affinity.as_deref() {
        None | Some("" | "None") => return None,
        Some("ClientIP") => {}
        Some(other) => {
            let hint = "use None or ClientIP; it counts as None until then";
            report.add("spec.sessionAffinity", format!("`{other}` is not known"), hint);
            return None;
        }
    }
    let config = spec.session_affinity_config.as_ref();
    let client = config.and_then(|config| config.client_ip.as_ref());
    let Some(given) = client.and_then(|client| client.timeout_seconds) else {
        return Some(Affinity::default());
    };
    let affinity = u32::try_from(given).ok().and_then(Affinity::new);
    if affinity.is_none() {
        let reason = format!("{given} is not within 1 and {}", Affinity::MAX);
        report.add(FIELD, reason, "correct it; it counts as 10800 until then");
    }
    Some(affinity.unwrap_or_default())
}

/// `healthCheckNodePort`; 0 and absent both mean none.
pub(super) fn health_check_port(
    spec: &v1::ServiceSpec,
    load_balancer: bool,
    external: TrafficPolicy,
    report: &mut Report,
) -> Option<u16> {
    const FIELD: &str = "spec.healthCheckNodePort";
    let given = spec.health_check_node_port.filter(|number| *number != 0)?;
    if !load_balancer || external != TrafficPolicy::Local {
        let reason = "only a Service of type LoadBalancer with externalTrafficPolicy Local has it";
        report.add(FIELD, reason, "set both, or take it away; no health check is served");
        return None;
    }
    let number = port::number(given);
    if number.is_none() {
        let hint = "use a number from 1 to 65535; no health check is served";
        report.add(FIELD, port::out_of_range(given), hint);
    }
    number
}

/// `loadBalancerSourceRanges`, or the annotation where there are none; no ranges mean everyone. A
/// range that cannot be read lets nobody in.
pub(super) fn source_ranges(
    metadata: &ObjectMeta,
    spec: &v1::ServiceSpec,
    load_balancer: bool,
    report: &mut Report,
) -> Option<Arc<[IpNet]>> {
    let listed = spec.load_balancer_source_ranges.as_deref().unwrap_or_default();
    let annotations = metadata.annotations.as_ref();
    let annotation = annotations.and_then(|all| all.get(SOURCE_RANGES)).map(String::as_str);
    let texts: Vec<(String, &str)> = if listed.is_empty() {
        let texts = annotation.map(str::trim).filter(|text| !text.is_empty())?.split(',');
        texts.map(|text| (format!("metadata.annotations[{SOURCE_RANGES}]"), text.trim())).collect()
    } else {
        let field = |i| format!("spec.loadBalancerSourceRanges[{i}]");
        (0..).zip(listed).map(|(i, text)| (field(i), text.trim())).collect()
    };
    if !load_balancer {
        let reason = "only a Service of type LoadBalancer has callers that this could limit";
        let field = texts.into_iter().next().map_or_else(String::new, |(field, _)| field);
        report.add(field, reason, "set spec.type; it has no effect until then");
        return None;
    }
    let mut ranges = Vec::with_capacity(texts.len());
    for (field, text) in texts {
        match range(text) {
            Some(range) if ranges.contains(&range) => {}
            Some(range) => ranges.push(range),
            None => {
                let hint = "write it like 192.0.2.0/24; it lets nobody in until then";
                report.add(field, format!("`{text}` is not a range of addresses"), hint);
            }
        }
    }
    Some(ranges.into())
}

/// A range without the bits behind its prefix, IPv4-mapped ones as IPv4.
fn range(text: &str) -> Option<IpNet> {
    let net: IpNet = text.parse().ok()?;
    let mapped = match net.addr().to_canonical() {
        IpAddr::V4(ip) if net.max_prefix_len() == 128 => {
            let length = net.prefix_len().checked_sub(96)?;
            IpNet::new(ip.into(), length).ok()?
        }
        _ => net,
    };
    Some(mapped.trunc())
}
