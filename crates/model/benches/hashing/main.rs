//! Consistent hashing: who moves, who has how much, and what it costs, for etm's way and others.
//!
//! `make bench ARGS=hashing`, or `cargo bench -p etm-model --bench hashing`, which takes no root:
//! prints two tables and writes `target/bench/hashing.json`. Nothing of it is random: the same
//! names give the same figures, but for times.
#![forbid(unsafe_code)]

mod algorithms;
mod backends;
mod chance;
mod cost;
mod movement;
mod report;

use std::process::ExitCode;

use clap::Parser;
use etm_bench::run::Run;

use crate::{
    algorithms::Algorithm,
    backends::Weights,
    movement::Effort,
    report::{Report, Row},
};

/// Compares ways of consistent hashing and holds etm's against its budgets.
#[derive(Debug, Parser)]
#[command(name = "hashing", max_term_width = 100)]
struct Arguments {
    /// Few sets of names: a look, not a result.
    #[arg(long)]
    quick: bool,

    /// Only algorithms whose name has this in it; may be given several times.
    #[arg(long)]
    only: Vec<String>,

    /// Only so many backends; may be given several times.
    #[arg(long)]
    size: Vec<usize>,

    /// Cargo says so to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Numbers of backends, and whether only some algorithms are run for it.
const SIZES: [(usize, bool); 6] =
    [(3, false), (10, false), (32, true), (50, true), (100, false), (1_000, false)];

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let mut run = Run::begin("hashing");
    let asked = |algorithm: &&Algorithm| {
        arguments.only.is_empty() || arguments.only.iter().any(|part| algorithm.name.contains(part))
    };
    let mut report = Report::default();
    for weights in Weights::ALL {
        let sized =
            |(size, _): &(usize, bool)| arguments.size.is_empty() || arguments.size.contains(size);
        for (size, some) in SIZES.into_iter().filter(sized) {
            for algorithm in algorithms::ALL.iter().filter(asked) {
                if some && !algorithm.at_length {
                    continue;
                }
                let effort = effort(algorithm, size, arguments.quick);
                let movement = movement::movement(algorithm, size, weights, effort);
                let cost = cost::cost(algorithm, size, weights, effort.timed);
                let chance = chance::chance(size, weights, effort.spreads);
                let row = Row { algorithm, size, weights, effort, movement, chance, cost };
                run.results.begin(format!("{}, {size} backends", algorithm.name));
                report.add(&row, &mut run.results);
            }
        }
    }
    report.print();
    run.end_judged()
}

/// Fewer sets where tables take long to build, and for what is only compared with.
fn effort(algorithm: &Algorithm, size: usize, quick: bool) -> Effort {
    let (spreads, sets, changes): (usize, usize, usize) = match (algorithm.at_length, size) {
        (true, ..=100) => (100, 20, 5),
        (true, _) => (20, 5, 5),
        (false, ..=100) => (5, 5, 2),
        (false, _) => (2, 2, 2),
    };
    let timed = if size <= 100 { 21 } else { 3 };
    let part = if quick { 5 } else { 1 };
    Effort { spreads: spreads.div_ceil(part), sets: sets.div_ceil(part), changes, timed }
}
