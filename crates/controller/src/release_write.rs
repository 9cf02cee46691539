//! The status of one release, written.

use std::time::Instant;

use etm_api::{Release, ReleaseStatus, UncheckedRelease};
use etm_model::ObjectName;
use etm_source::kubernetes::ObservedRelease;
use kube::{
    Api, Client, Resource,
    api::{Patch, PatchParams},
};
use serde_json::json;
use tokio::time::timeout_at;

use crate::{
    NAME,
    write::{Outcome, PATIENCE, failed, outcome},
};

/// What is to become the status of a release.
#[derive(Clone, Debug, PartialEq)]
pub struct ReleaseWrite {
    /// The release.
    pub name: ObjectName,
    /// The version of it that this follows from; no other gets it, so that whoever was overtaken reads
    /// again and decides anew.
    pub version: String,
    /// All of its status.
    pub status: ReleaseStatus,
}

/// Writes the status of a release, before `until`; with it, the release as it is then.
pub async fn write_release(
    client: &Client,
    write: &ReleaseWrite,
    until: Instant,
) -> (Outcome, Option<ObservedRelease>) {
    let object = format!("Release {}", write.name);
    let api = Api::<UncheckedRelease>::namespaced(client.clone(), &write.name.namespace);
    let how = PatchParams::apply(NAME);
    let body = Patch::Apply(json!({
        "apiVersion": Release::api_version(&()),
        "kind": Release::kind(&()),
        "metadata": {
            "name": write.name.name,
            "namespace": write.name.namespace,
            "resourceVersion": write.version,
        },
        "status": write.status,
    }));
    let deadline = until.min(Instant::now() + PATIENCE);
    let request = api.patch_status(&write.name.name, &how, &body);
    match timeout_at(deadline.into(), request).await {
        Ok(Ok(release)) => (Outcome::Written, Some(ObservedRelease::of(&release))),
        Ok(Err(error)) => (outcome(&object, &error), None),
        Err(_) => (Outcome::Failed(failed(&object, "the API server does not answer")), None),
    }
}
