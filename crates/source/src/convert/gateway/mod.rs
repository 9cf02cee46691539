//! Kinds of the Gateway API, as far as a decision at `connect()` can honour them: their parents that
//! are Services, their rules by weight. What asks for more is not accepted, with the reason.

mod grant;
mod layer7;
mod parent;
mod reference;
mod rule;
mod spec;

use etm_model::{Route, RouteKind, RouteOwner};
use kube::api::DynamicObject;
use serde_json::Value;

use super::{Converted, fields, metadata::Identity, report::Report};

pub use grant::reference_grant;
pub use parent::{NotAccepted, Parent, is_service};

/// The group of all these kinds.
pub const GATEWAY_GROUP: &str = "gateway.networking.k8s.io";

/// What a route of the Gateway API says of Services.
#[derive(Clone, Debug, PartialEq)]
pub struct GatewayRoute {
    /// The object.
    pub owner: RouteOwner,
    /// What counts.
    pub routes: Vec<Route>,
    /// Its parents that are Services, in their order.
    pub parents: Vec<Parent>,
}

/// Converts a `TCPRoute`, `UDPRoute`, `GRPCRoute` or `HTTPRoute`. One that cannot be read counts as it
/// was before; what is not accepted is told, and counts for nothing.
#[must_use]
pub fn gateway_route(kind: RouteKind, object: &DynamicObject) -> Converted<GatewayRoute> {
    let name = kind.name();
    let identity = match Identity::namespaced(name, &object.metadata) {
        Ok(identity) => identity,
        Err(problems) => return Converted::refused(problems),
    };
    let (created, owner) = (identity.created, RouteOwner { kind, name: identity.name.clone() });
    let mut report = Report::on(format!("{name} {}", identity.name));
    let spec = match read(object) {
        Ok(spec) => spec,
        Err((field, reason)) => {
            let hint = "correct it; until then the route counts as it was before";
            report.add(field, reason, hint);
            let (problems, stays) = (report.finish(), Some(identity.name));
            return Converted { object: None, created, proxy: None, problems, stays };
        }
    };
    let mut route = parent::route(&spec, owner);
    for parent in &route.parents {
        if let Err(NotAccepted { field, message, .. }) = &parent.route {
            report.add(field.to_string(), message.clone(), "the route counts for nothing there");
        }
    }
    for own in &mut route.routes {
        own.created = created;
    }
    Converted { object: Some(route), created, proxy: None, problems: report.finish(), stays: None }
}

/// The fields with their types. What is not known is kept, since it may ask for something.
fn read(object: &DynamicObject) -> Result<spec::Spec, (String, String)> {
    let given = object.data.get("spec").unwrap_or(&Value::Null);
    if given.is_null() {
        return Err(("spec".into(), "is missing".into()));
    }
    fields::read("spec", given, &mut Vec::new())
}
