//! The status of one object with routes, written.

use std::time::Instant;

use etm_model::RouteKind;
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams},
};
use serde_json::json;
use tokio::time::timeout_at;

use crate::{
    NAME,
    routes::RouteWrite,
    write::{Outcome, PATIENCE, failed, outcome},
};

/// Writes the status of an object with routes, before `until`.
///
/// Of etm's own kinds by server-side apply, so that conditions of others stay theirs. The Gateway API
/// has `status.parents` as one value, which is replaced as a whole; the version that is named with it
/// keeps what another controller writes in between from being lost.
pub async fn write_route(client: &Client, write: &RouteWrite, until: Instant) -> Outcome {
    let RouteWrite { owner, api_version, version, status } = write;
    let kind = owner.kind;
    let (group, of) = api_version.split_once('/').unwrap_or_default();
    let gvk = GroupVersionKind::gvk(group, of, kind.name());
    let resource = ApiResource::from_gvk_with_plural(&gvk, plural(kind));
    let namespace = &owner.name.namespace;
    let api = Api::<DynamicObject>::namespaced_with(client.clone(), namespace, &resource);
    let name = &owner.name.name;
    let body = json!({
        "apiVersion": api_version,
        "kind": kind.name(),
        "metadata": {"name": name, "namespace": namespace, "resourceVersion": version},
        "status": status,
    });
    let (how, body) = if kind.is_gateway() {
        let how = PatchParams { field_manager: Some(NAME.to_owned()), ..PatchParams::default() };
        (how, Patch::Merge(body))
    } else {
        (PatchParams::apply(NAME), Patch::Apply(body))
    };
    let request = api.patch_status(name, &how, &body);
    let deadline = until.min(Instant::now() + PATIENCE);
    let object = format!("{} {}", kind.name(), owner.name);
    match timeout_at(deadline.into(), request).await {
        Ok(Ok(_)) => Outcome::Written,
        Ok(Err(error)) => outcome(&object, &error),
        Err(_) => Outcome::Failed(failed(&object, "the API server does not answer")),
    }
}

const fn plural(kind: RouteKind) -> &'static str {
    match kind {
        RouteKind::TrafficRoute => "trafficroutes",
        RouteKind::Release => "releases",
        RouteKind::TcpRoute => "tcproutes",
        RouteKind::UdpRoute => "udproutes",
        RouteKind::GrpcRoute => "grpcroutes",
        RouteKind::HttpRoute => "httproutes",
    }
}
