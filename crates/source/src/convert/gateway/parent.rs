//! The Services that a route is attached to.

use std::{borrow::Cow, sync::Arc};

use etm_model::{ObjectName, Protocol, Route, RouteKind, RouteOwner, RoutePort};
use serde::Deserialize as _;
use serde_json::Value;

use super::{
    GatewayRoute, layer7, reference,
    rule::rules,
    spec::{ParentRef, Spec},
};

/// One of `spec.parentRefs` that is a Service.
#[derive(Clone, Debug, PartialEq)]
pub struct Parent {
    /// As it was written.
    pub reference: Value,
    /// Its place among the routes, or why there is none.
    pub route: Result<usize, NotAccepted>,
}

/// Why a route counts for nothing, whatever else the cluster holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAccepted {
    /// The field that is meant.
    pub field: Cow<'static, str>,
    /// `reason` of the condition `Accepted`.
    pub reason: &'static str,
    /// What is wrong with it, and the way out.
    pub message: String,
}

/// Whether a reference names a Service.
#[must_use]
pub fn is_service(reference: &Value) -> bool {
    let of = |name: &str| reference.get(name).and_then(Value::as_str);
    reference::is_service(of("group"), of("kind"))
}

/// What a route says of each of its parents.
pub(super) fn route(spec: &Spec, owner: RouteOwner) -> GatewayRoute {
    let asked = layer7::asked(spec);
    let rules = rules(&spec.rules, &owner.name.namespace);
    let (mut routes, mut parents) = (Vec::new(), Vec::new());
    for (i, reference) in spec.parent_refs.iter().enumerate().filter(|(_, r)| is_service(r)) {
        let field = format!("spec.parentRefs[{i}]");
        let target = match &asked {
            Some((field, message)) => Err(unsupported(field.clone(), message.clone())),
            None => target(reference, &field, &owner.name.namespace),
        };
        let route = target.map(|(target, port)| {
            let away = target.namespace != owner.name.namespace;
            routes.push(Route {
                owner: owner.clone(),
                created: None,
                field: field.into(),
                target,
                port,
                protocol: Some(protocol(owner.kind)),
                consumers: away.then(|| Arc::clone(&owner.name.namespace)),
                rules: rules.clone(),
                abandons: None,
            });
            routes.len() - 1
        });
        parents.push(Parent { reference: reference.clone(), route });
    }
    GatewayRoute { owner, routes, parents }
}

fn target(
    reference: &Value,
    field: &str,
    namespace: &Arc<str>,
) -> Result<(ObjectName, RoutePort), NotAccepted> {
    let parent = ParentRef::deserialize(reference)
        .map_err(|error| unsupported(field.to_owned(), format!("cannot be read: {error}")))?;
    let ParentRef { namespace: named, name, section_name, port, .. } = parent;
    let port = match (section_name, port) {
        (None, None) => RoutePort::Every,
        (Some(name), None) => RoutePort::Name(name.into()),
        (None, Some(number)) => match reference::port(number) {
            Some(number) => RoutePort::Number(number),
            None => {
                let message = format!("{number} is not a port, which is 1 to 65535");
                return Err(unsupported(format!("{field}.port"), message));
            }
        },
        (Some(_), Some(_)) => {
            let message = "names the port by sectionName and by port; take one of them away";
            return Err(unsupported(field.to_owned(), message.to_owned()));
        }
    };
    let namespace = named.as_deref().map_or_else(|| Arc::clone(namespace), Into::into);
    Ok((ObjectName { namespace, name: name.into() }, port))
}

fn unsupported(field: String, message: String) -> NotAccepted {
    NotAccepted { field: field.into(), reason: "UnsupportedValue", message }
}

fn protocol(kind: RouteKind) -> Protocol {
    match kind {
        RouteKind::UdpRoute => Protocol::Udp,
        _ => Protocol::Tcp,
    }
}
