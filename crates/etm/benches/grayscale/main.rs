//! Who calls which version, and how soon: shares of connections and of callers, a switch on many nodes
//! at once, and the roll-back of a bad version.
//!
//! `make bench ARGS=grayscale` (`cargo xtask bench grayscale`): prints a table and writes
//! `target/bench/grayscale.json`. Real agents, a real controller and a real API server; all traffic
//! stays in namespaces made for it.
#![forbid(unsafe_code)]

mod caller;
mod calling;
mod clock;
mod flips;
mod nodes;
mod sections;

use std::{process::ExitCode, time::Instant};

use clap::{Parser, Subcommand, ValueEnum};
use etm_bench::{results, statistics};

use crate::{results::Results, sections::Section};

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

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("grayscale: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if let Some(Part::Call { plan }) = &arguments.part {
        return caller::run(plan).map(|()| ExitCode::SUCCESS);
    }
    etm_testkit::require_root()?;
    let started = Instant::now();
    let mut results = Results::default();
    for section in Section::value_variants() {
        if !arguments.only.is_empty() && !arguments.only.contains(section) {
            continue;
        }
        let since = Instant::now();
        eprintln!("measuring {section:?} ...");
        section.measure(arguments.quick, &mut results)?;
        eprintln!("measured {section:?} in {:.0} s", since.elapsed().as_secs_f64());
    }
    results.print();
    let path = results.write("grayscale")?;
    println!("{} in {:.0} s", path.display(), started.elapsed().as_secs_f64());
    Ok(if results.hold() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
