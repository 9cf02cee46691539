//! `etm release`: how far a release is, and what people ask of it.

mod abort;
mod command;
mod pause;
mod promote;
mod status;
mod undo;

use std::path::Path;

use anyhow::Context as _;
use etm_api::UncheckedRelease;
use kube::{
    Api, Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};

use crate::cli::{ReleaseArgs, ReleaseTarget, ReleaseVerb};

pub(crate) fn run(arguments: ReleaseArgs) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("could not start")?;
    runtime.block_on(async {
        match arguments.verb {
            ReleaseVerb::Status(arguments) => status::run(&arguments).await,
            ReleaseVerb::Promote(target) => promote::run(&target).await,
            ReleaseVerb::Pause(target) => pause::run(&target).await,
            ReleaseVerb::Abort(target) => abort::run(&target).await,
            ReleaseVerb::Undo(target) => undo::run(&target).await,
        }
    })
}

/// Where the release is, and its name there.
async fn locate(target: &ReleaseTarget) -> anyhow::Result<(Api<UncheckedRelease>, String)> {
    let client = client(target.kubeconfig.as_deref(), target.context.clone()).await?;
    let (namespace, name) = match target.name.split_once('/') {
        Some((namespace, name)) => (namespace.to_owned(), name),
        None => (client.default_namespace().to_owned(), target.name.as_str()),
    };
    Ok((Api::namespaced(client, &namespace), name.to_owned()))
}

async fn client(kubeconfig: Option<&Path>, context: Option<String>) -> anyhow::Result<Client> {
    let options = KubeConfigOptions { context, ..KubeConfigOptions::default() };
    let config = match kubeconfig {
        Some(path) => {
            let kubeconfig = Kubeconfig::read_from(path)
                .with_context(|| format!("could not read {}", path.display()))?;
            Config::from_custom_kubeconfig(kubeconfig, &options).await?
        }
        None if options.context.is_some() => Config::from_kubeconfig(&options).await?,
        None => Config::infer().await.context("no cluster is known: give --kubeconfig")?,
    };
    Client::try_from(config).context("could not make a client of the API server")
}
