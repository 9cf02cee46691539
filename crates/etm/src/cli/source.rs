//! Where a cluster's state comes from.

use std::path::PathBuf;

use clap::Args;

/// Where the cluster's state comes from, and which node this is.
#[derive(Args, Debug)]
pub(crate) struct SourceArgs {
    /// Directory of Kubernetes manifests (Service, EndpointSlice, Pod, Node) to follow.
    #[arg(long, env = "ETM_MANIFESTS", value_name = "DIR")]
    pub(crate) manifests: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,

    /// Name of this node [default: the host's name].
    #[arg(long, env = "ETM_NODE", value_name = "NAME")]
    pub(crate) node: Option<String>,

    /// Handle Services whose label service.kubernetes.io/service-proxy-name is this, besides those
    /// without the label.
    #[arg(long, env = "ETM_PROXY_NAME", value_name = "NAME")]
    pub(crate) proxy_name: Option<String>,
}

/// The cluster to follow.
#[derive(Args, Debug)]
pub(crate) struct ClusterArgs {
    /// Follow the API server instead of a directory.
    #[arg(long, env = "ETM_KUBERNETES", num_args = 0..=1, require_equals = true)]
    #[arg(value_name = "BOOL", default_value = "false", default_missing_value = "true")]
    pub(crate) kubernetes: bool,

    #[command(flatten)]
    pub(crate) server: ServerArgs,

    /// Directory where the addresses of API servers are kept for the next start.
    #[arg(long, env = "ETM_STATE", value_name = "DIR", default_value = "/var/lib/etm")]
    pub(crate) state: PathBuf,
}

/// How the API server is reached.
#[derive(Args, Debug)]
pub(crate) struct ServerArgs {
    /// How to reach the API server [default: $KUBECONFIG, then a Pod's service account, then
    /// ~/.kube/config].
    #[arg(long, env = "ETM_KUBECONFIG", value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,

    /// Context of the kubeconfig [default: its current one].
    #[arg(long, env = "ETM_CONTEXT", value_name = "NAME")]
    pub(crate) context: Option<String>,

    /// Addresses of API servers to try before any other.
    #[arg(long, env = "ETM_API_SERVER", value_name = "HOST:PORT,...", value_delimiter = ',')]
    pub(crate) api_server: Vec<String>,
}
