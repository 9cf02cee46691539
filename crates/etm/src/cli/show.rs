//! Options of the verbs that show something: get, explain, plan.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{Output, PinArgs, SourceArgs};
use crate::explain;

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

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum IpFamily {
    #[value(name = "4")]
    V4,
    #[value(name = "6")]
    V6,
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
