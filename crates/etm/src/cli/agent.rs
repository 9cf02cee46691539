//! Options of `etm agent`.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, ValueEnum};

use super::{PinArgs, SourceArgs};

#[derive(Args, Debug)]
pub(crate) struct AgentArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,

    /// cgroup v2 directory whose processes are covered [default: the root, wherever mounted].
    #[arg(long, env = "ETM_CGROUP", value_name = "PATH")]
    pub(crate) cgroup: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) pin: PinArgs,

    /// What becomes of a connection to a Service's address on a port that it does not have.
    #[arg(long, env = "ETM_UNKNOWN_PORT", value_name = "WHAT", default_value = "pass")]
    pub(crate) unknown_port: UnknownPort,

    /// What becomes of sockets that still point at a Pod that is gone or ejected: what the
    /// TrafficPolicy says, or nothing. To end those of Pods takes CAP_SYS_ADMIN.
    #[arg(long, env = "ETM_STALE_CONNECTIONS", value_name = "WHAT", default_value = "end")]
    pub(crate) stale_connections: StaleConnections,

    /// Most frontends (address, port and protocol of a Service) of each family.
    #[arg(long, env = "ETM_MAX_FRONTENDS", value_name = "N", default_value_t = 65_536)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_frontends: u32,

    /// Most backends (address, port and protocol of a Pod).
    #[arg(long, env = "ETM_MAX_BACKENDS", value_name = "N", default_value_t = 131_072)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_backends: u32,

    /// Most slots: one for each member of each Service port and family, and room to change them.
    #[arg(long, env = "ETM_MAX_SLOTS", value_name = "N", default_value_t = 524_288)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_slots: u32,

    /// Most lines of 64 bytes that routes take up, of which a Service port with a route takes two and
    /// one more for each 64 callers of the node, twice for a second after each change.
    #[arg(long, env = "ETM_MAX_ROUTE_LINES", value_name = "N", default_value_t = 16_384)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_route_lines: u32,

    /// Most clients of Services with sessionAffinity ClientIP, one for each port that a client calls;
    /// beyond that, those are forgotten that did not call for longest.
    #[arg(long, env = "ETM_MAX_CLIENTS", value_name = "N", default_value_t = 65_536)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_clients: u32,

    /// Address to serve /metrics, /problems, /livez, /healthz and /readyz on [default: none].
    #[arg(long, env = "ETM_ADMIN", value_name = "ADDR")]
    pub(crate) admin: Option<SocketAddr>,

    /// Address to tell the controller on what became of connections, to whom has a certificate of
    /// the same authority [default: none].
    #[arg(long, env = "ETM_OUTCOMES", value_name = "ADDR", requires = "outcomes_tls")]
    pub(crate) outcomes: Option<SocketAddr>,

    /// Directory with tls.crt, tls.key and ca.crt for that, read again as they are replaced.
    #[arg(long, env = "ETM_OUTCOMES_TLS", value_name = "DIR")]
    pub(crate) outcomes_tls: Option<PathBuf>,

    /// YAML file with any of these options by their long names; flags and environment go first.
    #[arg(long, env = "ETM_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum UnknownPort {
    /// Let it pass to whatever else handles it.
    Pass,
    /// Refuse it with ECONNREFUSED.
    Refuse,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StaleConnections {
    /// End them where the TrafficPolicy says so, or where there is none those of connected UDP.
    End,
    /// Leave every socket as it is.
    Keep,
}
