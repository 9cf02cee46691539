//! One object into a cluster, and out of it.

use std::{fmt, time::Duration};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Resource, ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams},
    runtime::wait::{await_condition, conditions::is_crd_established},
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::timeout;

use crate::{ClusterError, Outcome};

/// Who has set the fields, to the API server.
const MANAGER: &str = "etm";

/// How long the API server may take to serve a kind that it was told of.
const ESTABLISHED: Duration = Duration::from_secs(60);

pub(crate) async fn apply<K>(
    api: Api<K>,
    object: &K,
    told: &mut impl FnMut(&str, Outcome),
) -> Result<(), ClusterError>
where
    K: Resource<DynamicType = ()> + Clone + fmt::Debug + Serialize + DeserializeOwned,
{
    let name = object.name_any();
    let shown = shown(object);
    let failed =
        |verb, error| ClusterError::Request { verb, object: shown.clone(), source: words(error) };
    let before = api.get_opt(&name).await.map_err(|error| failed("read", error))?;
    let how = PatchParams::apply(MANAGER);
    let after =
        api.patch(&name, &how, &Patch::Apply(object)).await.map_err(|error| match error {
            kube::Error::Api(ref status) if status.code == 409 => {
                ClusterError::Conflict { object: shown.clone(), source: words(error) }
            }
            other => failed("apply", other),
        })?;
    told(
        &shown,
        match before {
            None => Outcome::Created,
            Some(before) if is_same(&before, &after) => Outcome::Unchanged,
            Some(_) => Outcome::Changed,
        },
    );
    Ok(())
}

/// Waits until the API server serves a kind.
pub(crate) async fn established(
    api: Api<CustomResourceDefinition>,
    definition: &CustomResourceDefinition,
) -> Result<(), ClusterError> {
    let name = definition.name_any();
    let established = await_condition(api, &name, is_crd_established());
    match timeout(ESTABLISHED, established).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(ClusterError::Request {
            verb: "watch",
            object: shown(definition),
            source: error.into(),
        }),
        Err(_) => Err(ClusterError::NotEstablished {
            object: shown(definition),
            seconds: ESTABLISHED.as_secs(),
        }),
    }
}

pub(crate) async fn remove<K>(
    api: Api<K>,
    object: &K,
    told: &mut impl FnMut(&str, Outcome),
) -> Result<(), ClusterError>
where
    K: Resource<DynamicType = ()> + Clone + fmt::Debug + DeserializeOwned,
{
    let shown = shown(object);
    let outcome = match api.delete(&object.name_any(), &DeleteParams::default()).await {
        Ok(_) => Outcome::Deleted,
        Err(kube::Error::Api(status)) if status.code == 404 => Outcome::Absent,
        Err(error) => {
            let source = words(error);
            return Err(ClusterError::Request { verb: "delete", object: shown, source });
        }
    };
    told(&shown, outcome);
    Ok(())
}

/// Whether nothing differs but what the API server keeps of who wrote last, and what controllers
/// say of the object's state.
fn is_same<K: Resource + Clone + Serialize>(one: &K, other: &K) -> bool {
    let asked_for = |object: &K| {
        let mut object = object.clone();
        object.meta_mut().resource_version = None;
        object.meta_mut().managed_fields = None;
        let mut object = serde_json::to_value(object).ok()?;
        object.as_object_mut()?.remove("status");
        Some(object)
    };
    asked_for(one) == asked_for(other)
}

/// As kubectl names it.
fn shown<K: Resource<DynamicType = ()>>(object: &K) -> String {
    format!("{}/{}", K::kind(&()).to_lowercase(), object.name_any())
}

/// What the server said, without the whole of its answer around it.
fn words(error: kube::Error) -> Box<dyn std::error::Error + Send + Sync> {
    match error {
        kube::Error::Api(status) => status,
        other => other.into(),
    }
}
