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
use etm_bench::{memory, results, statistics};
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

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("control: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    etm_testkit::require_root()?;
    let size = if arguments.quick { QUICK } else { FULL };
    let started = Instant::now();
    let control_plane = ControlPlane::builder().start()?;
    let mut results = Results::default();
    let since = Instant::now();
    eprintln!("creating {} Services ...", size.services);
    let mut cluster = Cluster::create(&control_plane, size.services)?;
    let created = since.elapsed().as_secs_f64();
    results.tell(format!("creation of the objects, {}", cluster.words()), created, "s");

    let mut outcomes = Vec::new();
    for follower in Follower::value_variants() {
        if !arguments.only.is_empty() && !arguments.only.contains(follower) {
            continue;
        }
        let since = Instant::now();
        eprintln!("measuring {follower:?} ...");
        outcomes.push(match follower {
            Follower::Etm => agent::measure(&control_plane, &mut cluster, size, &mut results)?,
            Follower::Nftables | Follower::Iptables => {
                let mode = match follower {
                    Follower::Iptables => ProxyMode::Iptables,
                    _ => ProxyMode::Nftables,
                };
                kube_proxy::measure(&control_plane, mode, &mut cluster, size, &mut results)?
            }
        });
        eprintln!("measured {follower:?} in {:.0} s", since.elapsed().as_secs_f64());
    }
    if let [etm, others @ ..] = &*outcomes {
        for other in others {
            compare(etm, other, &mut results);
        }
    }

    results.print();
    let path = results.write("control")?;
    println!("{} in {:.0} s", path.display(), started.elapsed().as_secs_f64());
    Ok(if results.hold() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
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
