use std::{env, path::Path};

use hyper::header::{InvalidHeaderValue, USER_AGENT};
use kube::{
    Config,
    config::{InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError},
};
use thiserror::Error;

use super::Options;

/// Why there is no way to an API server.
#[derive(Debug, Error)]
pub enum ConfigurationError {
    /// The kubeconfig cannot be used.
    #[error(
        "cannot use the kubeconfig (name one with --kubeconfig or $KUBECONFIG, and a context of it \
         with --context)"
    )]
    Kubeconfig(#[source] Box<KubeconfigError>),
    /// What a Pod is given to reach the API server is not there.
    #[error("cannot use this Pod's service account (is automountServiceAccountToken off?)")]
    InCluster(#[source] Box<InClusterError>),
    /// The client cannot be made, for one because a certificate cannot be read.
    #[error("cannot make a client of the API server")]
    Client(#[source] Box<kube::Error>),
    /// The user agent is not one.
    #[error("`{0}` is not a user agent")]
    UserAgent(String, #[source] InvalidHeaderValue),
}

/// The configuration, and whether it is that of a Pod. What the user names goes first, then what a
/// Pod has, then the default kubeconfig.
pub(super) async fn load(options: &Options) -> Result<(Config, bool), ConfigurationError> {
    let has = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    let named = options.kubeconfig.is_some() || options.context.is_some() || has("KUBECONFIG");
    let in_cluster = !named && has("KUBERNETES_SERVICE_HOST");
    let mut config = if in_cluster {
        Config::incluster().map_err(|error| ConfigurationError::InCluster(error.into()))?
    } else {
        kubeconfig(options.kubeconfig.as_deref(), options.context.clone())
            .await
            .map_err(|error| ConfigurationError::Kubeconfig(error.into()))?
    };
    let agent = &options.user_agent;
    let value =
        agent.try_into().map_err(|error| ConfigurationError::UserAgent(agent.clone(), error))?;
    config.headers.push((USER_AGENT, value));
    Ok((config, in_cluster))
}

async fn kubeconfig(
    file: Option<&Path>,
    context: Option<String>,
) -> Result<Config, KubeconfigError> {
    let options = KubeConfigOptions { context, ..KubeConfigOptions::default() };
    match file {
        Some(file) => Config::from_custom_kubeconfig(Kubeconfig::read_from(file)?, &options).await,
        None => Config::from_kubeconfig(&options).await,
    }
}
