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

use std::{process::ExitCode, time::Instant};

use clap::{Parser, Subcommand, ValueEnum};
use etm_bench::{results, statistics};

use crate::{results::Results, sections::Section, stage::Stage};

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

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("health: {error:#}");
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
    let mut stage = Stage::build()?;
    let mut results = Results::default();
    for section in Section::value_variants() {
        if !arguments.only.is_empty() && !arguments.only.contains(section) {
            continue;
        }
        let since = Instant::now();
        eprintln!("measuring {section:?} ...");
        section.measure(&mut stage, arguments.quick, &mut results)?;
        eprintln!("measured {section:?} in {:.0} s", since.elapsed().as_secs_f64());
    }
    drop(stage);

    results.print();
    let path = results.write("health")?;
    println!("{} in {:.0} s", path.display(), started.elapsed().as_secs_f64());
    Ok(if results.hold() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
