//! Rules, by their weights.

use std::sync::Arc;

use etm_model::{Action, Destination, DestinationRef, ObjectName, RoutePort, Rule};

use super::{
    reference::{is_service_by_default, port},
    spec::{BackendRef, RuleSpec},
};

const WEIGHT: i64 = 1_000_000;

/// The rules of a route of this namespace, each for everyone.
pub(super) fn rules(given: &[RuleSpec], namespace: &Arc<str>) -> Vec<Rule> {
    let rules = given.iter().enumerate().map(|(i, given)| {
        let field = format!("spec.rules[{i}]");
        let backends = given.backend_refs.iter().enumerate();
        let destinations = backends.map(|(j, backend)| {
            let field = format!("{field}.backendRefs[{j}]");
            let to = destination(backend, namespace)
                .unwrap_or_else(|reason| DestinationRef::Invalid(reason.into()));
            let weight = backend.weight.unwrap_or(1).clamp(0, WEIGHT) as u32;
            Destination { field: field.into(), weight, to }
        });
        let action = Action::Forward(destinations.collect());
        let name = given.name.as_deref().unwrap_or_default().into();
        Rule { name, field: field.into(), from: Vec::new(), share: None, action }
    });
    rules.collect()
}

fn destination(given: &BackendRef, namespace: &Arc<str>) -> Result<DestinationRef, String> {
    let BackendRef { group, kind, name, namespace: named, port: number, .. } = given;
    if !is_service_by_default(group.as_deref(), kind.as_deref()) {
        let group = group.as_deref().unwrap_or_default();
        let kind = kind.as_deref().unwrap_or("Service");
        let of = if group.is_empty() { String::new() } else { format!(" of {group}") };
        return Err(format!("names a {kind}{of}; only Services are known"));
    }
    let Some(number) = number.and_then(port) else {
        return Err("names no port from 1 to 65535, which a Service needs".to_owned());
    };
    let namespace = named.as_deref().map_or_else(|| Arc::clone(namespace), Into::into);
    let name = ObjectName { namespace, name: name.as_str().into() };
    Ok(DestinationRef::Service { name, port: RoutePort::Number(number) })
}
