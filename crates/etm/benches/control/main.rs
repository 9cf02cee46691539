//! What it costs to follow a cluster: a real API server with as many objects as it may have, etm,
//! and the real kube-proxy in both its modes, one after the other.
//!
//! `make bench` (`cargo xtask bench`): prints a table and writes `target/bench/control.json`. Each
//! proxy follows the same objects and sees changes of the same kind at the same pace.
#![forbid(unsafe_code)]

mod agent;
mod change;
mod cluster;
mod cpu;
mod kube_proxy;
mod list;
mod metrics;
mod proxy;
mod rules;
mod writers;

use std::{process::ExitCode, time::Instant};

use clap::{Parser, ValueEnum};
use etm_bench::{
    memory, results,
    run::{Run, Section},
    statistics,
};
use etm_testkit::{ControlPlane, ProxyMode};

use crate::{
    cluster::Cluster,
    proxy::Outcome,
    results::{Budget, Results},
};

/// Measures what follows the cluster and holds it against its budgets.
#[derive(Debug, Parser)]
#[command(name = "control", max_term_width = 100)]
struct Arguments {
    /// A tenth of the Services and fewer changes: a look, not a result.
    #[arg(long)]
    quick: bool,

    /// Only this one; may be given several times. Ratios need etm and another.
    #[arg(long, value_enum)]
    only: Vec<Follower>,

    /// Cargo says so to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Who follows the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Follower {
    Etm,
    Nftables,
    Iptables,
}

/// How much there is of everything.
#[derive(Clone, Copy, Debug)]
struct Size {
    services: usize,
    /// Changes in quick succession.
    changes: usize,
    /// Changes with a pause before each.
    single: usize,
    /// Cold starts.
    starts: usize,
}

const FULL: Size = Size { services: 10_000, changes: 1_000, single: 10, starts: 3 };
const QUICK: Size = Size { services: 1_000, changes: 300, single: 5, starts: 3 };

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    etm_testkit::require_root()?;
    let size = if arguments.quick { QUICK } else { FULL };
    let mut run = Run::begin("control");
    let control_plane = ControlPlane::builder().start()?;
    let since = Instant::now();
    eprintln!("creating {} Services ...", size.services);
    let mut cluster = Cluster::create(&control_plane, size.services)?;
    let created = since.elapsed().as_secs_f64();
    run.results.tell(format!("creation of the objects, {}", cluster.words()), created, "s");

    let mut outcomes = Vec::new();
    run.sections(&arguments.only, |follower, results| {
        let outcome = follower.measure(&control_plane, &mut cluster, size, results)?;
        outcomes.push((follower, outcome));
        Ok(())
    })?;
    if let [(_, etm), others @ ..] = &*outcomes {
        for (follower, other) in others {
            run.results.begin(follower.name());
            compare(etm, other, &mut run.results);
        }
    }
    run.end()
}

impl Section for Follower {}

impl Follower {
    fn measure(
        self,
        control_plane: &ControlPlane,
        cluster: &mut Cluster,
        size: Size,
        results: &mut Results,
    ) -> anyhow::Result<Outcome> {
        let mode = match self {
            Self::Etm => return agent::measure(control_plane, cluster, size, results),
            Self::Nftables => ProxyMode::Nftables,
            Self::Iptables => ProxyMode::Iptables,
        };
        kube_proxy::measure(control_plane, mode, cluster, size, results)
    }
}

/// One proxy against the first; nothing where that one is not etm.
fn compare(etm: &Outcome, other: &Outcome, results: &mut Results) {
    if etm.name != agent::NAME {
        return;
    }
    let name = &other.name;
    let what = format!("change to kernel, mean, 100/s, {name} / etm");
    results.judge(what, other.programming / etm.programming, "ratio", Budget::AtLeast(10.0));
    let what = format!("change to kernel, mean, single changes, {name} / etm");
    results.tell(what, other.single / etm.single, "ratio");
    let what = format!("memory, peak, {name} / etm");
    results.judge(what, other.peak / etm.peak, "ratio", Budget::AtLeast(1.0));
    let what = format!("memory, after the changes, {name} / etm");
    results.judge(what, other.memory / etm.memory, "ratio", Budget::AtLeast(1.0));
    results.tell(format!("CPU time of changes, {name} / etm"), other.cpu / etm.cpu, "ratio");
}
