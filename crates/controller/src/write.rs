//! The status of one policy, written.

use std::time::{Duration, Instant};

use etm_api::{EjectedPod, TrafficPolicy, UncheckedTrafficPolicy};
use etm_model::{Accepted, ObjectName, Problem};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{
    Api, Client, Resource,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};
use tokio::time::timeout_at;

use crate::{NAME, monitored::Monitored, problem};

/// How long one request may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// What is to become the status of a policy.
#[derive(Clone, Debug, PartialEq)]
pub struct StatusWrite {
    /// The policy.
    pub name: ObjectName,
    /// The version of it that this is about; no other gets it.
    pub version: String,
    /// `observedGeneration`.
    pub generation: Option<i64>,
    /// Its conditions.
    pub conditions: Vec<Condition>,
    /// Who is out.
    pub ejected: Vec<EjectedPod>,
    pub(crate) told: Told,
}

/// What a status says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Told {
    pub(crate) accepted: Accepted,
    pub(crate) monitored: Monitored,
}

/// What became of a write.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The API server has it.
    Written,
    /// The policy is another by now, or gone; the watch tells.
    Overtaken,
    /// It will not be taken as long as the policy is as it is.
    Refused(Problem),
    /// It may be taken later.
    Failed(Problem),
}

/// Writes the status of a policy by server-side apply, before `until`. Fields of other managers and
/// conditions of other types stay as they are; a condition `Accepted` that is somebody else's is
/// left to them, so that no two write it in turn.
pub async fn write(client: &Client, write: &StatusWrite, until: Instant) -> Outcome {
    let api = Api::<UncheckedTrafficPolicy>::namespaced(client.clone(), &write.name.namespace);
    let how = PatchParams::apply(NAME);
    let body = Patch::Apply(body(write));
    let request = api.patch_status(&write.name.name, &how, &body);
    let deadline = until.min(Instant::now() + PATIENCE);
    match timeout_at(deadline.into(), request).await {
        Ok(Ok(_)) => Outcome::Written,
        Ok(Err(error)) => refused(write, &error),
        Err(_) => {
            let object = format!("TrafficPolicy {}", write.name);
            Outcome::Failed(failed(&object, "the API server does not answer"))
        }
    }
}

fn body(write: &StatusWrite) -> Value {
    json!({
        "apiVersion": TrafficPolicy::api_version(&()),
        "kind": TrafficPolicy::kind(&()),
        "metadata": {
            "name": write.name.name,
            "namespace": write.name.namespace,
            "resourceVersion": write.version,
        },
        "status": {
            "conditions": write.conditions,
            "ejected": write.ejected,
            "observedGeneration": write.generation,
        },
    })
}

fn refused(write: &StatusWrite, error: &kube::Error) -> Outcome {
    outcome(&format!("TrafficPolicy {}", write.name), error)
}

/// What became of the write of an object's status that was refused.
pub(crate) fn outcome(object: &str, error: &kube::Error) -> Outcome {
    let reason = problem::words(error);
    let kube::Error::Api(status) = error else { return Outcome::Failed(failed(object, &reason)) };
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let others = causes.filter(|cause| cause.reason == "FieldManagerConflict").count() > 0;
    let hint = match status.code {
        409 if others => {
            "etm does not write what another has written; take that condition away (kubectl edit \
             --subresource=status), and stop who writes it"
        }
        404 | 409 => return Outcome::Overtaken,
        400 | 422 => {
            "the cluster's definition of the kind is another than this version's: etm install \
             --apply renews it"
        }
        _ => return Outcome::Failed(failed(object, &reason)),
    };
    Outcome::Refused(told(object, &reason, hint))
}

pub(crate) fn failed(object: &str, reason: &str) -> Problem {
    let hint = "the old status stays; it is tried again every few seconds";
    told(object, reason, hint)
}

fn told(object: &str, reason: &str, hint: &str) -> Problem {
    let object = object.to_owned();
    let reason = format!("cannot be written: {reason}");
    Problem { object, field: "status".to_owned(), reason, hint: hint.to_owned() }
}
