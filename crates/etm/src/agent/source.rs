use std::{net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use etm_api::NodeReportSpec;
use etm_model::{Change, PodChange, Problem, Snapshot};
use etm_source::{
    Manifests, Supposed, Update,
    kubernetes::{self, Kubernetes, Statistics},
};
use tokio::time::{Instant, timeout_at};

use crate::{agent::node, cli::SourceArgs};

/// How many of the files that could not be read are named in one line.
const UNKNOWN_TOLD: usize = 8;

/// Where the cluster's state comes from.
pub(crate) enum Source {
    Manifests(Box<Manifests>),
    Kubernetes(Box<Kubernetes>),
}

/// What the source knows at the start.
#[derive(Default)]
pub(crate) struct First {
    pub(crate) snapshot: Snapshot,
    pub(crate) pods: Vec<PodChange>,
    pub(crate) problems: Vec<Problem>,
}

/// Who follows the source.
pub(crate) struct Follow {
    /// As the API server is told.
    pub(crate) user: &'static str,
    /// Where the addresses of API servers are kept, if anywhere.
    pub(crate) state: Option<PathBuf>,
    /// How long an API server may take for its first lists.
    pub(crate) patience: Duration,
    /// Whether its first lists are to have the Pods of the node.
    pub(crate) pods: bool,
}

impl Source {
    /// Opens what the arguments name, and gives what it knows at the start: of an API server that
    /// does not answer soon, nothing.
    pub(crate) async fn open(
        arguments: &SourceArgs,
        follow: Follow,
    ) -> anyhow::Result<(Self, First)> {
        let options = options(arguments)?;
        let cluster = &arguments.cluster;
        match (&arguments.manifests, cluster.kubernetes) {
            (Some(directory), false) => {
                let (mut manifests, snapshot, problems) = Manifests::open(directory, options)?;
                let first = First { snapshot, pods: manifests.found_pods(), problems };
                Ok((Self::Manifests(Box::new(manifests)), first))
            }
            (None, true) => {
                let options = kubernetes::Options {
                    source: options,
                    kubeconfig: cluster.server.kubeconfig.clone(),
                    context: cluster.server.context.clone(),
                    api_servers: cluster.server.api_server.clone(),
                    state: follow.state,
                    user_agent: format!("{}/{}", follow.user, env!("CARGO_PKG_VERSION")),
                };
                let mut cluster = Kubernetes::open(options).await?;
                let first = first_lists(&mut cluster, follow.patience, follow.pods).await;
                Ok((Self::Kubernetes(Box::new(cluster)), first))
            }
            (Some(_), true) => bail!("--manifests and --kubernetes are two sources: give one"),
            (None, false) => bail!("nothing to follow: give --manifests DIR or --kubernetes"),
        }
    }

    /// Waits for the next change. Cancel safe.
    pub(super) async fn next(&mut self) -> anyhow::Result<Update> {
        match self {
            Self::Manifests(manifests) => {
                manifests.next().await.context("could not follow the manifests")
            }
            Self::Kubernetes(cluster) => Ok(cluster.next().await),
        }
    }

    /// What changes if these objects were there.
    pub(crate) async fn suppose(&mut self, supposed: Supposed) -> Update {
        match self {
            Self::Manifests(manifests) => manifests.suppose(supposed),
            Self::Kubernetes(cluster) => cluster.suppose(supposed).await,
        }
    }

    /// Whether all that there is was read once.
    pub(crate) fn is_complete(&self) -> bool {
        match self {
            Self::Manifests(manifests) => manifests.is_complete(),
            Self::Kubernetes(cluster) => cluster.is_complete(),
        }
    }

    pub(super) fn set_node_addresses(&mut self, addresses: Vec<IpAddr>) -> Option<Change> {
        match self {
            Self::Manifests(manifests) => manifests.set_node_addresses(addresses),
            Self::Kubernetes(cluster) => cluster.set_node_addresses(addresses),
        }
    }

    /// Tells the cluster what this node has taken out of service; a directory hears nothing.
    pub(super) fn report(&self, ejected: NodeReportSpec) {
        if let Self::Kubernetes(cluster) = self {
            cluster.report(ejected);
        }
    }

    /// What there is to tell of each watch.
    pub(super) fn statistics(&self) -> &[Arc<Statistics>] {
        match self {
            Self::Manifests(_) => &[],
            Self::Kubernetes(cluster) => cluster.statistics(),
        }
    }

    /// What it means that something was not read yet.
    pub(super) fn incomplete(&self) -> String {
        match self {
            Self::Manifests(manifests) => unknown_files(manifests),
            Self::Kubernetes(_) => "incomplete: the API server has not listed everything yet \
                                    (frontends in the maps stay as they were until it has)"
                .to_owned(),
        }
    }
}

/// Waits for an API server's first lists, but not for long: without them the programs are to be
/// attached and what the maps hold is to be looked after all the same.
async fn first_lists(cluster: &mut Kubernetes, patience: Duration, pods: bool) -> First {
    let deadline = Instant::now() + patience;
    let mut first = First::default();
    while let Ok(update) = timeout_at(deadline, cluster.next()).await {
        first.problems = update.problems;
        first.pods.extend(update.pods);
        for change in update.changes {
            first.snapshot.change(change);
        }
        if cluster.is_complete() && (!pods || cluster.knows_pods()) {
            break;
        }
    }
    first
}

fn unknown_files(manifests: &Manifests) -> String {
    let names: Vec<_> = manifests.unknown_files().collect();
    let mut told = names.iter().take(UNKNOWN_TOLD).copied().collect::<Vec<_>>().join(", ");
    if names.len() > UNKNOWN_TOLD {
        told = format!("{told}, ...");
    }
    let files = if names.len() == 1 { "file" } else { "files" };
    format!(
        "incomplete: {} {files} broken at the start: {told} (frontends in the maps stay as they \
         were, unless other files change them, until each is mended or removed)",
        names.len()
    )
}

fn options(arguments: &SourceArgs) -> anyhow::Result<etm_source::Options> {
    let node = match &arguments.node {
        Some(node) => node.clone(),
        None => node::host_name().context("this host has no name: name the node with --node")?,
    };
    Ok(etm_source::Options {
        node,
        addresses: node::addresses()?,
        proxy_name: arguments.proxy_name.clone(),
    })
}
