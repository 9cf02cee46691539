use std::{collections::BTreeSet, sync::Arc};

use etm_model::{Family, Protocol, ServicePort};
use k8s_openapi::{api::core::v1, apimachinery::pkg::util::intstr::IntOrString};

use super::{port, report::Report};

/// `targetPort` of a Service's port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The same number in every Pod.
    Number(u16),
    /// The number that each Pod gives to this name.
    Name(Arc<str>),
}

/// Where a Service's port leads in its Pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetPort {
    /// The Service port's name, empty where it has none.
    pub name: Arc<str>,
    /// Its protocol.
    pub protocol: Protocol,
    /// Where it leads.
    pub target: Target,
    /// Its place in `spec.ports`.
    pub index: usize,
}

/// What a Service says about its Pods, for want of EndpointSlices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodSelection {
    /// `spec.selector`, ordered by key, never empty.
    pub selector: Vec<(Arc<str>, Arc<str>)>,
    /// The families of the Service.
    pub families: Vec<Family>,
    /// Its ports.
    pub ports: Vec<TargetPort>,
    /// `spec.publishNotReadyAddresses`.
    pub publish_not_ready: bool,
}

/// The usable ports of a Service, and where they lead in its Pods.
pub(super) fn ports(
    listed: &[v1::ServicePort],
    node_ports: bool,
    report: &mut Report,
) -> (Vec<ServicePort>, Vec<TargetPort>) {
    let mut ports = Vec::with_capacity(listed.len());
    let mut targets = Vec::with_capacity(listed.len());
    let mut names = BTreeSet::new();
    let mut numbers = BTreeSet::new();
    let mut taken = BTreeSet::new();
    for (index, listed_port) in listed.iter().enumerate() {
        let field = |name: &str| format!("spec.ports[{index}].{name}");
        let Some(number) = port::number(listed_port.port) else {
            report.add(field("port"), port::out_of_range(listed_port.port), port::NUMBER_HINT);
            continue;
        };
        let Some(protocol) = port::protocol(listed_port.protocol.as_deref()) else {
            let reason = port::unknown_protocol(listed_port.protocol.as_deref());
            report.add(field("protocol"), reason, port::PROTOCOL_HINT);
            continue;
        };
        let name = listed_port.name.as_deref().unwrap_or_default();
        if name.is_empty() && listed.len() > 1 {
            let hint = "name each port of a Service that has several; this one is left out";
            report.add(field("name"), "is missing", hint);
            continue;
        }
        if !names.insert(name) {
            let reason = format!("`{name}` names an earlier port as well");
            report.add(field("name"), reason, "the later port is left out");
            continue;
        }
        if !numbers.insert((number, protocol)) {
            let reason = format!("{number}/{protocol} is an earlier port as well");
            report.add(field("port"), reason, "the later port is left out");
            continue;
        }
        let node_port = node_port(listed_port, node_ports, &field("nodePort"), report);
        let node_port = node_port.filter(|number| {
            let free = taken.insert((*number, protocol));
            if !free {
                let reason = format!("{number}/{protocol} is an earlier port's as well");
                report.add(field("nodePort"), reason, "the later port has no node port");
            }
            free
        });
        let target = target(listed_port, number, &field("targetPort"), report);
        let name: Arc<str> = name.into();
        if let Some(target) = target {
            targets.push(TargetPort { name: Arc::clone(&name), protocol, target, index });
        }
        ports.push(ServicePort { name, protocol, port: number, node_port });
    }
    (ports, targets)
}

/// `nodePort`; 0 and absent both mean none, as `allocateLoadBalancerNodePorts: false` leaves it.
fn node_port(
    listed: &v1::ServicePort,
    allowed: bool,
    field: &str,
    report: &mut Report,
) -> Option<u16> {
    let given = listed.node_port.filter(|number| *number != 0)?;
    if !allowed {
        let reason = "only a Service of type NodePort or LoadBalancer has node ports";
        report.add(field, reason, "set spec.type; no node port is served");
        return None;
    }
    let number = port::number(given);
    if number.is_none() {
        let hint = "use a number from 1 to 65535; no node port is served";
        report.add(field, port::out_of_range(given), hint);
    }
    number
}

/// `targetPort`; absent means the Service's own number. None where no Pod can be meant by it.
fn target(
    listed: &v1::ServicePort,
    number: u16,
    field: &str,
    report: &mut Report,
) -> Option<Target> {
    match &listed.target_port {
        None | Some(IntOrString::Int(0)) => Some(Target::Number(number)),
        Some(IntOrString::String(name)) if name.is_empty() => Some(Target::Number(number)),
        Some(IntOrString::String(name)) => Some(Target::Name(name.as_str().into())),
        Some(IntOrString::Int(given)) => {
            let target = port::number(*given).map(Target::Number);
            if target.is_none() {
                let hint = "use a number from 1 to 65535; Pods give this port no endpoints";
                report.add(field, port::out_of_range(*given), hint);
            }
            target
        }
    }
}
