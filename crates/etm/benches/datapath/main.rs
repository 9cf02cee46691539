//! What the data path costs, against a direct connection and against kube-proxy's ways.
//!
//! `make bench` (`cargo xtask bench`): prints a table and writes `target/bench/datapath.json`, and what
//! hits by routes cost to `grayscale.json`, where the rest about routes is. What is compared takes
//! turns within one process, since figures of separate runs drift by more than the differences that
//! count. All traffic stays in namespaces made for it.
#![forbid(unsafe_code)]

mod client;
mod cluster;
mod covered;
mod netfilter;
mod sections;
mod server;
mod stage;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use etm_bench::{memory, results, run::Run, statistics};

use crate::{sections::Section, stage::Stage};

/// Measures the data path and holds it against its budgets.
#[derive(Debug, Parser)]
#[command(name = "datapath", max_term_width = 100)]
struct Arguments {
    /// A quarter of the rounds: a look, not a result.
    #[arg(long)]
    quick: bool,

    /// Only this section; may be given several times.
    #[arg(long, value_enum)]
    only: Vec<Section>,

    /// Rounds of each comparison; the figures are medians over them.
    #[arg(long, value_parser = clap::value_parser!(u32).range(3..))]
    rounds: Option<u32>,

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
    Serve,
    #[command(hide = true)]
    Client { plan: String },
    #[command(hide = true)]
    Counted { plan: String },
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    match &arguments.part {
        Some(Part::Serve) => return server::run().map(|()| ExitCode::SUCCESS),
        Some(Part::Client { plan }) => return client::run(plan).map(|()| ExitCode::SUCCESS),
        Some(Part::Counted { plan }) => {
            return client::counted::run(plan).map(|()| ExitCode::SUCCESS);
        }
        None => {}
    }
    etm_testkit::require_root()?;
    let rounds = arguments.rounds.unwrap_or(if arguments.quick { 5 } else { 21 });
    let mut run = Run::begin("datapath");
    let stage = Stage::build()?;
    run.sections(&arguments.only, |section, results| {
        section.measure(&stage, rounds as usize, results)
    })?;
    drop(stage);
    run.end()
}
