//! The measuring process: it runs through its lanes in turn and prints a line of JSON a round.

pub(crate) mod connections;
pub(crate) mod cpu;
pub(crate) mod datagrams;
mod lane;
pub(crate) mod streams;

use serde::{Deserialize, Serialize};

pub(crate) use lane::Lane;

/// What to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) enum Work {
    /// connect, then close.
    Connects,
    /// connect, a byte there, a byte back, close.
    Exchanges,
    /// A datagram there, one back, on one unconnected socket.
    Datagrams,
    /// Bulk transfers over open connections.
    Streams,
}

/// One run of the measuring process.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Plan {
    pub(crate) work: Work,
    pub(crate) lanes: Vec<Lane>,
    /// Rounds to report; one before them only warms up.
    pub(crate) rounds: usize,
    /// Repetitions of each lane in a round.
    pub(crate) repetitions: usize,
}

/// The figures of one lane in one round, in nanoseconds.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Sample {
    /// Median of the call alone: connect(), or one exchange.
    pub(crate) p50: f64,
    /// 99th percentile of the same.
    pub(crate) p99: f64,
    /// Mean of the whole, to the end of close().
    pub(crate) whole: f64,
}

/// Runs a plan given as JSON.
pub(crate) fn run(plan: &str) -> anyhow::Result<()> {
    let plan: Plan = serde_json::from_str(plan)?;
    cpu::pin(cpu::Role::Client)?;
    match plan.work {
        Work::Connects | Work::Exchanges => connections::run(&plan),
        Work::Datagrams => datagrams::run(&plan),
        Work::Streams => streams::run(&plan),
    }
}

/// Prints what a round gave, a sample for each lane.
fn report(samples: &[Sample]) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string(samples)?);
    Ok(())
}
