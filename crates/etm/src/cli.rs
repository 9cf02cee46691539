//! The command line.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use http::Uri;

use crate::explain;

/// Sends connections to a Kubernetes Service straight to a Pod, inside connect().
#[derive(Debug, Parser)]
#[command(name = "etm", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Keep the kernel's maps equal to a cluster, or to a directory of manifests.
    Agent(Box<AgentArgs>),
    /// Write the status of traffic policies, as the one of a cluster that does.
    Controller(Box<ControllerArgs>),
    /// Show what the kernel's maps hold, whether or not an agent runs.
    Get(GetArgs),
    /// Tell where a call to a Service goes, and why.
    Explain(ExplainArgs),
    /// Show what objects would change on this node if they were applied.
    Plan(Box<PlanArgs>),
    /// Show a release, and say how it is to go on.
    Release(ReleaseArgs),
    /// Take the programs off their hooks and remove everything pinned.
    Detach(DetachArgs),
    /// Print what a cluster needs to run the agent on each node and the controller, or apply it.
    Install(InstallArgs),
}

/// Where the data path is pinned.
#[derive(Args, Debug)]
pub(crate) struct PinArgs {
    /// Directory in bpffs that holds the programs' links and maps.
    #[arg(long, env = "ETM_PIN", value_name = "DIR", default_value = "/sys/fs/bpf/etm")]
    pub(crate) pin: PathBuf,
}

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

#[derive(Args, Debug)]
pub(crate) struct GetArgs {
    /// What to show.
    pub(crate) what: Resource,

    /// Only Services, or calling Pods, whose `namespace/name` begins with this, or counters whose
    /// name does.
    pub(crate) name: Option<String>,

    #[command(flatten)]
    pub(crate) pin: PinArgs,

    /// Form of the output.
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    pub(crate) output: Output,
}

#[derive(Args, Debug)]
pub(crate) struct ExplainArgs {
    /// Who calls: a Pod of this node, `node` for a process of the node itself, or `unknown` for one
    /// that is neither. The namespace is `default` where there is none.
    #[arg(long, value_name = "[NAMESPACE/]POD|node|unknown")]
    pub(crate) from: explain::From,

    /// What is called: a Service, by port number or port name where it has several, or an address.
    /// TCP unless there is only UDP.
    #[arg(long, value_name = "[NAMESPACE/]SERVICE[:PORT][/UDP]|ADDRESS:PORT[/UDP]")]
    pub(crate) to: explain::To,

    /// Port that the caller's socket is bound to before it calls; only hashes of callerPort
    /// depend on it.
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) source_port: Option<u16>,

    /// Family of the Service's address [default: 4, or 6 where it has no other].
    #[arg(long, value_name = "4|6", hide_possible_values = true)]
    pub(crate) family: Option<IpFamily>,

    #[command(flatten)]
    pub(crate) pin: PinArgs,

    /// Form of the output.
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    pub(crate) output: Output,
}

#[derive(Args, Debug)]
pub(crate) struct PlanArgs {
    /// Manifests that are not applied yet, `-` for standard input; of an object that several have,
    /// the last counts.
    #[arg(short, long, value_name = "FILE", required = true)]
    pub(crate) file: Vec<PathBuf>,

    /// The step, counted from 0, at which Releases are planned that have not begun.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) step: usize,

    #[command(flatten)]
    pub(crate) source: SourceArgs,

    /// Form of the output.
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    pub(crate) output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum IpFamily {
    #[value(name = "4")]
    V4,
    #[value(name = "6")]
    V6,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Resource {
    /// Addresses of Services, and how many backends each chooses from.
    Services,
    /// Backends of Services.
    Backends,
    /// Backends that something speaks against, and what became of their connections.
    Ejections,
    /// What callers get of Services with routes: who, which share of calls, which backends.
    Routes,
    /// Pods of this node by their cgroups, and the node itself.
    Callers,
    /// How many calls ended in which way.
    Counters,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    Table,
    Json,
    Yaml,
}

#[derive(Args, Debug)]
pub(crate) struct ReleaseArgs {
    #[command(subcommand)]
    pub(crate) verb: ReleaseVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ReleaseVerb {
    /// Show how far it is, what it waits for, and what happened.
    Status(ReleaseStatusArgs),
    /// End the step that it is at, whatever its pause and its analysis say.
    Promote(ReleaseTarget),
    /// Keep it at its step until it is promoted.
    Pause(ReleaseTarget),
    /// Send everyone to the stable version again, of one that is not completed.
    Abort(ReleaseTarget),
    /// The same, also of one that is completed.
    Undo(ReleaseTarget),
}

/// Which release.
#[derive(Args, Debug)]
pub(crate) struct ReleaseTarget {
    /// Name of the release; the namespace is that of the kubeconfig's context where there is none.
    #[arg(value_name = "[NAMESPACE/]NAME")]
    pub(crate) name: String,

    /// How to reach the API server [default: $KUBECONFIG, then ~/.kube/config, then a Pod's service
    /// account].
    #[arg(long, env = "ETM_KUBECONFIG", value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,

    /// Context of the kubeconfig [default: its current one].
    #[arg(long, env = "ETM_CONTEXT", value_name = "NAME")]
    pub(crate) context: Option<String>,

    /// How many seconds to wait until the controller has done what is asked.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub(crate) wait: u64,
}

#[derive(Args, Debug)]
pub(crate) struct ReleaseStatusArgs {
    #[command(flatten)]
    pub(crate) target: ReleaseTarget,

    /// Form of the output.
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    pub(crate) output: Output,
}

#[derive(Args, Debug)]
pub(crate) struct DetachArgs {
    #[command(flatten)]
    pub(crate) pin: PinArgs,

    /// Stay until told to stop, and take it that nothing may be pinned: as a Pod of a DaemonSet.
    #[arg(long)]
    pub(crate) stay: bool,
}

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
