//! What a failing Pod costs its callers, with etm and with kube-proxy's rules and readiness.
//!
//! `make bench ARGS=health` (`cargo xtask bench health`): prints a table and writes
//! `target/bench/health.json`. Eight Pods are called at a steady rate by Pods of their own, with a
//! new connection each time; then something happens to one of them, or to half of them. All traffic
//! stays in namespaces made for it.
#![forbid(unsafe_code)]

mod caller;
mod cluster;
mod covered;
mod faults;
mod filtered;
mod readiness;
mod sections;
mod servers;
mod stage;
mod watch;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use etm_bench::{results, run::Run, statistics};

use crate::{sections::Section, stage::Stage};

/// Measures how failing Pods are noticed and holds it against its budgets.
#[derive(Debug, Parser)]
#[command(name = "health", max_term_width = 100)]
struct Arguments {
    /// One round of each fault and a shorter soak: a look, not a result.
    #[arg(long)]
    quick: bool,

    /// Only this section; may be given several times.
    #[arg(long, value_enum)]
    only: Vec<Section>,

    /// Cargo says so to every bench.
    #[arg(long, hide = true)]
    bench: bool,

    #[command(subcommand)]
    part: Option<Part>,
}

/// The processes that the bench starts of itself.
#[derive(Debug, Subcommand)]
enum Part {
    #[command(hide = true)]
    Call { plan: String },
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    if let Some(Part::Call { plan }) = &arguments.part {
        return caller::run(plan).map(|()| ExitCode::SUCCESS);
    }
    etm_testkit::require_root()?;
    let mut run = Run::begin("health");
    let mut stage = Stage::build()?;
    run.sections(&arguments.only, |section, results| {
        section.measure(&mut stage, arguments.quick, results)
    })?;
    drop(stage);
    run.end()
}
