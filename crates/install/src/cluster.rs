//! Objects into a cluster, and out of it.

use std::{fmt, path::Path, time::Duration};

use k8s_openapi::{
    NamespaceResourceScope,
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, Config, Resource, ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams},
    config::{KubeConfigOptions, Kubeconfig},
    runtime::wait::{await_condition, conditions::is_crd_established},
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::timeout;

use crate::{ClusterError, Objects};

/// Who has set the fields, to the API server.
const MANAGER: &str = "etm";

/// How long the API server may take to serve a kind that it was told of.
const ESTABLISHED: Duration = Duration::from_secs(60);

/// A cluster that objects are put into.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
}

/// What became of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was not there before.
    Created,
    /// It was there and is another now.
    Changed,
    /// It was as it should be.
    Unchanged,
    /// It is gone, or will be as soon as what depends on it is.
    Deleted,
    /// It was not there.
    Absent,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Created => "created",
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
            Self::Deleted => "deleted",
            Self::Absent => "absent",
        })
    }
}

impl Cluster {
    /// The cluster of a kubeconfig; without one that of `$KUBECONFIG`, of `~/.kube/config` or of
    /// the Pod that this is. Must be called in a tokio runtime.
    ///
    /// # Errors
    ///
    /// [`ClusterError::Kubeconfig`], [`ClusterError::NoCluster`] and [`ClusterError::Client`].
    pub async fn open(
        kubeconfig: Option<&Path>,
        context: Option<String>,
    ) -> Result<Self, ClusterError> {
        let named = kubeconfig.is_some() || context.is_some();
        let options = KubeConfigOptions { context, ..KubeConfigOptions::default() };
        let config = match kubeconfig.map(Kubeconfig::read_from) {
            Some(Ok(file)) => Config::from_custom_kubeconfig(file, &options).await,
            Some(Err(error)) => Err(error),
            None if named => Config::from_kubeconfig(&options).await,
            None => {
                return Self::of(
                    Config::infer().await.map_err(|error| ClusterError::NoCluster(error.into()))?,
                );
            }
        };
        Self::of(config.map_err(|error| ClusterError::Kubeconfig(error.into()))?)
    }

    fn of(config: Config) -> Result<Self, ClusterError> {
        let client = Client::try_from(config);
        Ok(Self { client: client.map_err(|error| ClusterError::Client(error.into()))? })
    }

    /// Makes the cluster have these objects (server-side apply), and tells of each as it is done.
    ///
    /// # Errors
    ///
    /// [`ClusterError::Conflict`] where others have set a field to something else,
    /// [`ClusterError::NotEstablished`] and [`ClusterError::Request`]; what was told before is done.
    pub async fn apply(
        &self,
        objects: &Objects,
        mut told: impl FnMut(&str, Outcome),
    ) -> Result<(), ClusterError> {
        let namespace = objects.namespace.name_any();
        apply(self.all(), &objects.namespace, &mut told).await?;
        apply(self.all(), &objects.traffic_policies, &mut told).await?;
        established(self.all(), &objects.traffic_policies).await?;
        apply(self.within(&namespace), &objects.service_account, &mut told).await?;
        apply(self.all(), &objects.cluster_role, &mut told).await?;
        apply(self.all(), &objects.cluster_role_binding, &mut told).await?;
        apply(self.within(&namespace), &objects.daemon_set, &mut told).await?;
        let controller = &objects.controller;
        apply(self.within(&namespace), &controller.service_account, &mut told).await?;
        apply(self.all(), &controller.cluster_role, &mut told).await?;
        apply(self.all(), &controller.cluster_role_binding, &mut told).await?;
        apply(self.within(&namespace), &controller.role, &mut told).await?;
        apply(self.within(&namespace), &controller.role_binding, &mut told).await?;
        apply(self.within(&namespace), &controller.deployment, &mut told).await
    }

    /// Removes these objects and tells of each; but for the namespace, which others may be in, and
    /// the kinds, with which every object of them would go.
    ///
    /// # Errors
    ///
    /// [`ClusterError::Request`]; what was told before is done.
    pub async fn remove(
        &self,
        objects: &Objects,
        mut told: impl FnMut(&str, Outcome),
    ) -> Result<(), ClusterError> {
        let namespace = objects.namespace.name_any();
        let controller = &objects.controller;
        remove(self.within(&namespace), &controller.deployment, &mut told).await?;
        remove(self.within(&namespace), &controller.role_binding, &mut told).await?;
        remove(self.within(&namespace), &controller.role, &mut told).await?;
        remove(self.all(), &controller.cluster_role_binding, &mut told).await?;
        remove(self.all(), &controller.cluster_role, &mut told).await?;
        remove(self.within(&namespace), &controller.service_account, &mut told).await?;
        remove(self.within(&namespace), &objects.daemon_set, &mut told).await?;
        remove(self.all(), &objects.cluster_role_binding, &mut told).await?;
        remove(self.all(), &objects.cluster_role, &mut told).await?;
        remove(self.within(&namespace), &objects.service_account, &mut told).await
    }

    fn all<K: Resource<DynamicType = ()>>(&self) -> Api<K> {
        Api::all(self.client.clone())
    }

    fn within<K>(&self, namespace: &str) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), namespace)
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").finish_non_exhaustive()
    }
}

async fn apply<K>(
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
async fn established(
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

async fn remove<K>(
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
