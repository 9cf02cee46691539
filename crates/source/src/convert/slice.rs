use std::{collections::BTreeSet, sync::Arc};

use etm_model::{Endpoint, EndpointSlice, Family, ObjectName, SlicePort};
use k8s_openapi::{
    api::{core::v1::ObjectReference, discovery::v1},
    jiff::Timestamp,
};

use super::{
    Converted, address,
    locality::locality,
    metadata::{Identity, PROXY_NAME, label},
    port,
    report::Report,
};

/// Label of a slice: the Service that it belongs to.
pub(crate) const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// Annotation of a slice: when that happened which made the control plane change it.
const TRIGGERED: &str = "endpoints.kubernetes.io/last-change-trigger-time";

/// When that happened which changed a slice, where it tells.
pub(crate) fn triggered(object: &v1::EndpointSlice) -> Option<Timestamp> {
    object.metadata.annotations.as_ref()?.get(TRIGGERED)?.parse().ok()
}

/// Converts an EndpointSlice; one of a headless Service too, since routes may lead there. Those of
/// addressType FQDN are left alone without a word.
#[must_use]
pub fn endpoint_slice(object: &v1::EndpointSlice) -> Converted<EndpointSlice> {
    let identity = match Identity::namespaced("EndpointSlice", &object.metadata) {
        Ok(identity) => identity,
        Err(problems) => return Converted::refused(problems),
    };
    let name = identity.name;
    let mut report = Report::on(format!("EndpointSlice {name}"));
    let converted = (object.address_type != "FQDN").then(|| convert(object, name, &mut report));
    Converted {
        object: converted.flatten(),
        created: identity.created,
        proxy: label(&object.metadata, PROXY_NAME).map(Into::into),
        problems: report.finish(),
        stays: None,
    }
}

fn convert(
    object: &v1::EndpointSlice,
    name: ObjectName,
    report: &mut Report,
) -> Option<EndpointSlice> {
    let Some(family) = address::parse_family(&object.address_type) else {
        let reason = format!("`{}` is not known", object.address_type);
        report.add("addressType", reason, "use IPv4 or IPv6; the slice is left out");
        return None;
    };
    let service: Arc<str> = match label(&object.metadata, SERVICE_NAME) {
        None | Some("") => {
            let hint = "name the Service that the endpoints belong to; the slice is left out";
            report.add(format!("metadata.labels[{SERVICE_NAME}]"), "is missing", hint);
            return None;
        }
        Some(service) => service.into(),
    };
    Some(EndpointSlice {
        service,
        family,
        ports: ports(object, report),
        endpoints: endpoints(object, family, &name, report),
        name,
    })
}

fn ports(object: &v1::EndpointSlice, report: &mut Report) -> Vec<SlicePort> {
    let mut ports: Vec<SlicePort> = Vec::new();
    let mut names = BTreeSet::new();
    for (i, listed) in object.ports.iter().flatten().enumerate() {
        // A port without a number means "all ports" to some, and nothing that a proxy can use.
        let Some(number) = listed.port else { continue };
        let Some(number) = port::number(number) else {
            report.add(format!("ports[{i}].port"), port::out_of_range(number), port::NUMBER_HINT);
            continue;
        };
        let Some(protocol) = port::protocol(listed.protocol.as_deref()) else {
            let reason = port::unknown_protocol(listed.protocol.as_deref());
            report.add(format!("ports[{i}].protocol"), reason, port::PROTOCOL_HINT);
            continue;
        };
        let name = listed.name.as_deref().unwrap_or_default();
        if !names.insert(name) {
            let reason = format!("`{name}` names an earlier port as well");
            report.add(format!("ports[{i}].name"), reason, "the later port is left out");
            continue;
        }
        ports.push(SlicePort { name: name.into(), protocol, port: number });
    }
    ports
}

fn endpoints(
    object: &v1::EndpointSlice,
    family: Family,
    slice: &ObjectName,
    report: &mut Report,
) -> Vec<Endpoint> {
    const LEFT_OUT: &str = "this endpoint is left out";
    let listed = object.endpoints.as_deref().unwrap_or_default();
    let mut endpoints = Vec::with_capacity(listed.len());
    for (i, listed) in listed.iter().enumerate() {
        // Those after the first are defined to have no meaning.
        let Some(text) = listed.addresses.first() else {
            report.add(format!("endpoints[{i}].addresses"), "is empty", LEFT_OUT);
            continue;
        };
        let field = || format!("endpoints[{i}].addresses[0]");
        let address = match address::parse_endpoint(text) {
            Ok(address) => address,
            Err(error) => {
                report.add(field(), format!("`{text}` {error}"), LEFT_OUT);
                continue;
            }
        };
        if Family::of(address) != family {
            let reason = format!("`{text}` is not an {} address", address::family_name(family));
            report.add(
                field(),
                reason,
                format!("addressType is {}; {LEFT_OUT}", object.address_type),
            );
            continue;
        }
        let conditions = listed.conditions.as_ref();
        endpoints.push(Endpoint {
            address,
            ready: conditions.and_then(|c| c.ready).unwrap_or(true),
            serving: conditions.and_then(|c| c.serving).unwrap_or(true),
            terminating: conditions.and_then(|c| c.terminating).unwrap_or(false),
            pod: listed.target_ref.as_ref().and_then(|target| pod(target, slice)),
            locality: locality(
                listed.node_name.as_deref(),
                listed.zone.as_deref(),
                listed.hints.as_ref(),
            ),
        });
    }
    endpoints
}

fn pod(target: &ObjectReference, slice: &ObjectName) -> Option<ObjectName> {
    if target.kind.as_deref() != Some("Pod") {
        return None;
    }
    let name = target.name.as_deref().filter(|name| !name.is_empty())?;
    let namespace = match target.namespace.as_deref() {
        // One text for all endpoints, not one for each.
        None | Some("") => Arc::clone(&slice.namespace),
        Some(namespace) if *namespace == *slice.namespace => Arc::clone(&slice.namespace),
        Some(namespace) => namespace.into(),
    };
    Some(ObjectName { namespace, name: name.into() })
}
