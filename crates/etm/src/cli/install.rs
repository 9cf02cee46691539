//! Options of `etm install`.

use std::path::PathBuf;

use clap::Args;

use super::{StaleConnections, UnknownPort};

#[derive(Args, Debug)]
pub(crate) struct InstallArgs {
    /// Put the objects into the cluster, instead of printing them.
    #[arg(long)]
    pub(crate) apply: bool,

    /// Remove the objects from the cluster, but for the namespace; what is pinned on the nodes
    /// stays and works until --detach.
    #[arg(long, conflicts_with_all = ["apply", "detach"])]
    pub(crate) remove: bool,

    /// Detach on each node, instead of running the agent: to be applied before --remove.
    #[arg(long)]
    pub(crate) detach: bool,

    /// Namespace of agent and controller [default: etm-system].
    #[arg(long, value_name = "NAME")]
    pub(crate) namespace: Option<String>,

    /// Image with this program [default: localhost/etm with this version].
    #[arg(long, value_name = "IMAGE")]
    pub(crate) image: Option<String>,

    /// Addresses of API servers that agents and controller try before any other.
    #[arg(long, value_name = "HOST:PORT,...", value_delimiter = ',')]
    pub(crate) api_server: Vec<String>,

    /// What becomes of a connection to a Service's address on a port that it does not have.
    #[arg(long, value_name = "WHAT", default_value = "pass")]
    pub(crate) unknown_port: UnknownPort,

    /// What becomes of sockets that still point at a Pod that is gone or ejected; to end them takes
    /// CAP_SYS_ADMIN and the host's /run/netns.
    #[arg(long, value_name = "WHAT", default_value = "end")]
    pub(crate) stale_connections: StaleConnections,

    /// Secret with ca.crt, tls.crt and tls.key by which the controller asks agents what became of
    /// connections, for the analysis of releases; it may be made later [default: they are not asked].
    #[arg(long, value_name = "SECRET")]
    pub(crate) outcomes: Option<String>,

    /// How to reach the cluster [default: $KUBECONFIG, then ~/.kube/config, then a Pod's service
    /// account].
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,

    /// Context of the kubeconfig [default: its current one].
    #[arg(long, value_name = "NAME")]
    pub(crate) context: Option<String>,
}
