//! Options of `etm controller`.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;
use http::Uri;

use super::ServerArgs;

#[derive(Args, Debug)]
pub(crate) struct ControllerArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,

    /// Namespace of the Lease that says which controller writes [default: that of the Pod, or of the
    /// kubeconfig's context].
    #[arg(long, env = "ETM_NAMESPACE", value_name = "NAME")]
    pub(crate) namespace: Option<String>,

    #[command(flatten)]
    pub(crate) monitors: MonitorArgs,

    #[command(flatten)]
    pub(crate) outcomes: OutcomesArgs,

    /// The proxy's name that the agents were given, if any: policies for other Services are for
    /// nobody.
    #[arg(long, env = "ETM_PROXY_NAME", value_name = "NAME")]
    pub(crate) proxy_name: Option<String>,

    /// Address to serve /metrics, /problems, /livez, /healthz and /readyz on [default: none].
    #[arg(long, env = "ETM_ADMIN", value_name = "ADDR")]
    pub(crate) admin: Option<SocketAddr>,

    /// YAML file with any of these options by their long names, which may be the agents' as well;
    /// flags and environment go first.
    #[arg(long, env = "ETM_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// How the agents are asked what became of connections, for the analysis of releases.
#[derive(Args, Debug)]
pub(crate) struct OutcomesArgs {
    /// Directory with tls.crt, tls.key and ca.crt that the agents take, read again as they are
    /// replaced [default: none, and no agent is asked].
    #[arg(long, env = "ETM_OUTCOMES_TLS", value_name = "DIR")]
    pub(crate) outcomes_tls: Option<PathBuf>,

    /// Port at which agents answer, on the addresses of their Pods in this namespace.
    #[arg(long, env = "ETM_OUTCOMES_PORT", value_name = "PORT", default_value_t = 9443)]
    pub(crate) outcomes_port: u16,

    /// Addresses of agents that run in no Pod, instead of those.
    #[arg(long, env = "ETM_AGENTS", value_name = "IP:PORT,...", value_delimiter = ',')]
    pub(crate) agents: Vec<SocketAddr>,
}

/// How monitoring systems are reached, and how much their word and that of nodes counts.
#[derive(Args, Debug)]
pub(crate) struct MonitorArgs {
    /// Prometheus, which is asked what monitors of policies and nodes say [default: none].
    #[arg(long, env = "ETM_PROMETHEUS", value_name = "URL")]
    pub(crate) prometheus: Option<Uri>,

    /// File with the bearer token for Prometheus, read again as it is replaced.
    #[arg(long, env = "ETM_PROMETHEUS_TOKEN_FILE", value_name = "FILE", requires = "prometheus")]
    pub(crate) prometheus_token_file: Option<PathBuf>,

    /// File with the certificates of who signs that of Prometheus, instead of those whom the system
    /// trusts.
    #[arg(long, env = "ETM_PROMETHEUS_CA_FILE", value_name = "FILE", requires = "prometheus")]
    pub(crate) prometheus_ca_file: Option<PathBuf>,

    /// Address to which Alertmanager posts, at /alerts [default: none].
    #[arg(long, env = "ETM_ALERTS", value_name = "ADDR")]
    pub(crate) alerts: Option<SocketAddr>,

    /// File with the bearer token that Alertmanager must have, read for each call.
    #[arg(long, env = "ETM_ALERTS_TOKEN_FILE", value_name = "FILE", requires = "alerts")]
    pub(crate) alerts_token_file: Option<PathBuf>,

    /// How long a node's Lease may go without a renewal, as 20s [default: what the Lease says,
    /// which is 40s of kubelet].
    #[arg(long, env = "ETM_NODE_LEASE_TIMEOUT", value_name = "TIME")]
    pub(crate) node_lease_timeout: Option<kube::core::Duration>,

    /// Percent of the nodes that may be taken out; where more are bad, none is.
    #[arg(long, env = "ETM_MAX_EJECTED_NODES", value_name = "PERCENT", default_value_t = 50)]
    #[arg(value_parser = clap::value_parser!(u8).range(0..=100))]
    pub(crate) max_ejected_nodes: u8,
}
