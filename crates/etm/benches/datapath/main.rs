//! What the data path costs, against a direct connection and against kube-proxy's ways.
//!
//! `make bench` (`cargo xtask bench`): prints a table and writes `target/bench/datapath.json`. What
//! is compared takes turns within one process, since figures of separate runs drift by more than
//! the differences that count. All traffic stays in namespaces made for it.
#![forbid(unsafe_code)]

mod client;
mod cluster;
mod netfilter;
mod sections;
mod server;
mod stage;

use std::{process::ExitCode, time::Instant};

use clap::{Parser, Subcommand, ValueEnum};
use etm_bench::{memory, results, statistics};

use crate::{results::Results, sections::Section, stage::Stage};

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
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("datapath: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match &arguments.part {
        Some(Part::Serve) => return server::run().map(|()| ExitCode::SUCCESS),
        Some(Part::Client { plan }) => return client::run(plan).map(|()| ExitCode::SUCCESS),
        None => {}
    }
    etm_testkit::require_root()?;
    let rounds = arguments.rounds.unwrap_or(if arguments.quick { 5 } else { 21 });
    let sections: Vec<Section> = Section::value_variants()
        .iter()
        .copied()
        .filter(|section| arguments.only.is_empty() || arguments.only.contains(section))
        .collect();

    let started = Instant::now();
    let stage = Stage::build()?;
    let mut results = Results::default();
    for section in sections {
        let since = Instant::now();
        eprintln!("measuring {section:?} ...");
        section.measure(&stage, rounds as usize, &mut results)?;
        eprintln!("measured {section:?} in {:.0} s", since.elapsed().as_secs_f64());
    }
    drop(stage);

    results.print();
    let path = results.write("datapath")?;
    println!("{} in {:.0} s", path.display(), started.elapsed().as_secs_f64());
    Ok(if results.hold() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
