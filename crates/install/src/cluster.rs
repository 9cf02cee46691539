//! Objects into a cluster, and out of it.

use std::{fmt, path::Path};

use k8s_openapi::NamespaceResourceScope;
use kube::{
    Api, Client, Config, Resource, ResourceExt as _,
    config::{KubeConfigOptions, Kubeconfig},
};

use crate::{
    ClusterError, Objects,
    request::{apply, established, remove},
};

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
        for kind in &objects.kinds {
            apply(self.all(), kind, &mut told).await?;
        }
        for kind in &objects.kinds {
            established(self.all(), kind).await?;
        }
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
        apply(self.within(&namespace), &controller.service, &mut told).await?;
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
        remove(self.within(&namespace), &controller.service, &mut told).await?;
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
