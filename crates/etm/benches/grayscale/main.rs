//! Who calls which version, and how soon: shares of connections and of callers, a switch on many nodes
//! at once, and the roll-back of a bad version.
//!
//! `make bench ARGS=grayscale` (`cargo xtask bench grayscale`): prints a table and writes
//! `target/bench/grayscale.json`, where `datapath` writes what hits by routes cost. Real
//! agents, a real controller and a real API server; all traffic stays in namespaces made for it.
#![forbid(unsafe_code)]

mod caller;
mod clock;
mod flips;
mod nodes;
mod sections;
mod told;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use etm_bench::{results, run::Run, statistics};

use crate::sections::Section;

/// Measures releases and holds them against their budgets.
#[derive(Debug, Parser)]
#[command(name = "grayscale", max_term_width = 100)]
struct Arguments {
    /// Fewer nodes, callers and rounds: a look, not a result.
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
    let mut run = Run::begin("grayscale");
    run.sections(&arguments.only, |section, results| section.measure(arguments.quick, results))?;
    run.end()
}
