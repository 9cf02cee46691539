use etm_model::{Address, AddressKind, Family};
use k8s_openapi::api::core::v1;

use super::{
    address::{self, family_name},
    report::Report,
};

const LEFT_OUT: &str = "this address is left out";

/// The addresses of a Service and its families.
pub(super) fn addresses(
    spec: &v1::ServiceSpec,
    ingress: &[v1::LoadBalancerIngress],
    load_balancer: bool,
    report: &mut Report,
) -> (Vec<Address>, Vec<Family>) {
    let declared = declared_families(spec, report);
    let mut addresses = cluster(spec, declared.as_deref(), report);
    let families = match declared {
        Some(families) => families,
        None if addresses.is_empty() => vec![Family::V4, Family::V6],
        None => addresses.iter().map(|address| Family::of(address.ip)).collect(),
    };
    external(spec, &families, &mut addresses, report);
    balanced(ingress, load_balancer, &families, &mut addresses, report);
    (addresses, families)
}

/// `ipFamilies`, where there are any.
pub(super) fn declared_families(
    spec: &v1::ServiceSpec,
    report: &mut Report,
) -> Option<Vec<Family>> {
    let mut families = Vec::new();
    for (i, text) in spec.ip_families.iter().flatten().enumerate() {
        let field = format!("spec.ipFamilies[{i}]");
        match address::parse_family(text) {
            Some(family) if families.contains(&family) => {
                report.add(field, format!("`{text}` is there twice"), "name each family once");
            }
            Some(family) => families.push(family),
            None => report.add(field, format!("`{text}` is not known"), "use IPv4 or IPv6"),
        }
    }
    (!families.is_empty()).then_some(families)
}

/// `clusterIPs`, or `clusterIP` where there are none.
fn cluster(
    spec: &v1::ServiceSpec,
    families: Option<&[Family]>,
    report: &mut Report,
) -> Vec<Address> {
    let first = spec.cluster_ip.as_deref().filter(|ip| !ip.is_empty());
    let listed = spec.cluster_ips.as_deref().unwrap_or_default();
    if let (Some(first), Some(other)) = (first, listed.first())
        && first != other
    {
        let reason = format!("`{first}` is not the first of clusterIPs, `{other}`");
        report.add("spec.clusterIP", reason, "make them equal; clusterIPs counts");
    }
    let listed = match first {
        Some(first) if listed.is_empty() => vec![("spec.clusterIP".to_owned(), first)],
        _ => (0..)
            .zip(listed)
            .map(|(i, text)| (format!("spec.clusterIPs[{i}]"), text.as_str()))
            .collect(),
    };
    let mut addresses: Vec<Address> = Vec::new();
    for (i, (field, text)) in listed.into_iter().enumerate() {
        let ip = match address::parse_virtual(text) {
            Ok(ip) => ip,
            Err(error) => {
                report.add(field, format!("`{text}` {error}"), LEFT_OUT);
                continue;
            }
        };
        let family = Family::of(ip);
        if let Some(families) = families {
            match families.get(i) {
                Some(declared) if *declared == family => {}
                Some(declared) => {
                    let reason = format!("`{text}` is not an {} address", family_name(*declared));
                    report.add(field, reason, format!("see spec.ipFamilies[{i}]; {LEFT_OUT}"));
                    continue;
                }
                None => {
                    let reason = format!("`{text}` has no family of its own in ipFamilies");
                    report.add(field, reason, format!("add its family there; {LEFT_OUT}"));
                    continue;
                }
            }
        } else if addresses.iter().any(|address| Family::of(address.ip) == family) {
            let reason = format!("`{text}` is a second {} address", family_name(family));
            report.add(field, reason, format!("give one of each family; {LEFT_OUT}"));
            continue;
        }
        addresses.push(Address { ip, kind: AddressKind::Cluster });
    }
    addresses
}

fn external(
    spec: &v1::ServiceSpec,
    families: &[Family],
    addresses: &mut Vec<Address>,
    report: &mut Report,
) {
    for (i, text) in spec.external_ips.iter().flatten().enumerate() {
        let field = format!("spec.externalIPs[{i}]");
        match address::parse_endpoint(text) {
            Ok(ip) => add(ip, AddressKind::External, families, addresses, field, report),
            Err(error) => report.add(field, format!("`{text}` {error}"), LEFT_OUT),
        }
    }
}

/// `status.loadBalancer.ingress`. Addresses of `ipMode: Proxy` belong to a load balancer that
/// wants to see the traffic; hostnames are for DNS.
fn balanced(
    ingress: &[v1::LoadBalancerIngress],
    load_balancer: bool,
    families: &[Family],
    addresses: &mut Vec<Address>,
    report: &mut Report,
) {
    for (i, ingress) in ingress.iter().enumerate() {
        let Some(text) = ingress.ip.as_deref().filter(|ip| !ip.is_empty()) else { continue };
        let field = |name: &str| format!("status.loadBalancer.ingress[{i}].{name}");
        match ingress.ip_mode.as_deref() {
            None | Some("VIP") => {}
            Some("Proxy") => continue,
            Some(mode) => {
                let hint = format!("use VIP or Proxy; {LEFT_OUT}");
                report.add(field("ipMode"), format!("`{mode}` is not known"), hint);
                continue;
            }
        }
        if !load_balancer {
            let reason = "only a Service of type LoadBalancer has such an address";
            report.add(field("ip"), reason, format!("set spec.type; {LEFT_OUT}"));
            continue;
        }
        match address::parse_virtual(text) {
            Ok(ip) => {
                add(ip, AddressKind::LoadBalancer, families, addresses, field("ip"), report);
            }
            Err(error) => report.add(field("ip"), format!("`{text}` {error}"), LEFT_OUT),
        }
    }
}

/// Adds an address of a family that the Service has; in another it could only ever refuse.
fn add(
    ip: std::net::IpAddr,
    kind: AddressKind,
    families: &[Family],
    addresses: &mut Vec<Address>,
    field: String,
    report: &mut Report,
) {
    if !families.contains(&Family::of(ip)) {
        let reason = format!("`{ip}` is of a family that the Service does not have");
        report.add(field, reason, format!("see spec.ipFamilies; {LEFT_OUT}"));
    } else if !addresses.iter().any(|address| address.ip == ip) {
        addresses.push(Address { ip, kind });
    }
}
