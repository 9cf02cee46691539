use etm_model::{ReferenceGrant, RouteKind};
use kube::api::DynamicObject;
use serde::Deserialize;
use serde_json::Value;

use super::{
    super::{Converted, fields, metadata::Identity, report::Report},
    GATEWAY_GROUP,
    reference::is_service,
};

/// Every kind that has routes.
const KINDS: [RouteKind; 6] = [
    RouteKind::TrafficRoute,
    RouteKind::Release,
    RouteKind::TcpRoute,
    RouteKind::UdpRoute,
    RouteKind::GrpcRoute,
    RouteKind::HttpRoute,
];

#[derive(Debug, Deserialize)]
struct Spec {
    #[serde(default)]
    from: Vec<From>,
    #[serde(default)]
    to: Vec<To>,
}

#[derive(Debug, Deserialize)]
struct From {
    #[serde(default)]
    group: String,
    kind: String,
    namespace: String,
}

#[derive(Debug, Deserialize)]
struct To {
    #[serde(default)]
    group: String,
    kind: String,
    name: Option<String>,
}

/// Converts a `ReferenceGrant`; nothing comes of one that grants routes no Service. One that cannot
/// be read counts as it was before.
#[must_use]
pub fn reference_grant(object: &DynamicObject) -> Converted<ReferenceGrant> {
    let identity = match Identity::namespaced("ReferenceGrant", &object.metadata) {
        Ok(identity) => identity,
        Err(problems) => return Converted::refused(problems),
    };
    let (name, created) = (identity.name, identity.created);
    let given = object.data.get("spec").unwrap_or(&Value::Null);
    let spec: Spec = match fields::read("spec", given, &mut Vec::new()) {
        Ok(spec) => spec,
        Err((field, reason)) => {
            let mut report = Report::on(format!("ReferenceGrant {name}"));
            let hint = "correct it; until then the grant counts as it was before";
            report.add(field, reason, hint);
            let (problems, stays) = (report.finish(), Some(name));
            return Converted { object: None, created, proxy: None, problems, stays };
        }
    };
    let from: Vec<_> = spec.from.iter().filter_map(from).collect();
    let services = spec.to.iter().filter(|to| is_service(Some(&to.group), Some(&to.kind)));
    let services: Vec<_> = services.map(|to| to.name.as_deref()).collect();
    let object = (!from.is_empty() && !services.is_empty()).then(|| ReferenceGrant {
        name,
        from,
        // One without a name is about every Service.
        services: services.into_iter().map(|name| name.map(Into::into)).collect(),
    });
    Converted { object, created, proxy: None, problems: Vec::new(), stays: None }
}

fn from(given: &From) -> Option<(RouteKind, std::sync::Arc<str>)> {
    let kind = KINDS.into_iter().find(|kind| {
        let group = if kind.is_gateway() { GATEWAY_GROUP } else { etm_api::GROUP };
        given.kind == kind.name() && given.group == group
    })?;
    Some((kind, given.namespace.as_str().into()))
}
