//! The command line.

mod agent;
mod controller;
mod install;
mod release;
mod show;
mod source;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use self::{
    agent::{AgentArgs, StaleConnections, UnknownPort},
    controller::{ControllerArgs, MonitorArgs, OutcomesArgs},
    install::InstallArgs,
    release::{ReleaseArgs, ReleaseStatusArgs, ReleaseTarget, ReleaseVerb},
    show::{ExplainArgs, GetArgs, IpFamily, PlanArgs, Resource},
    source::{ServerArgs, SourceArgs},
};

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
    /// Run releases, ask monitoring systems and write status, as the one of a cluster that does.
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
pub(crate) struct DetachArgs {
    #[command(flatten)]
    pub(crate) pin: PinArgs,

    /// Stay until told to stop, and take it that nothing may be pinned: as a Pod of a DaemonSet.
    #[arg(long)]
    pub(crate) stay: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    Table,
    Json,
    Yaml,
}
