//! The measuring process: it runs through its lanes in turn and prints a line of JSON a round.

pub(crate) mod connections;
pub(crate) mod counted;
pub(crate) mod datagrams;
mod lane;
pub(crate) mod streams;

use std::time::Duration;

use etm_bench::processor::{self, Role};
use serde::{Deserialize, Serialize};

use crate::statistics::{mean, quantile};

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
    processor::pin(Role::Client)?;
    let round = match plan.work {
        Work::Connects | Work::Exchanges => connections::round,
        Work::Datagrams => datagrams::round,
        Work::Streams => streams::round,
    };
    round(&plan)?;
    for _ in 0..plan.rounds {
        let samples: Vec<Sample> = round(&plan)?.iter().map(Times::sample).collect();
        println!("{}", serde_json::to_string(&samples)?);
    }
    Ok(())
}

/// What one lane took in one round, call by call, in nanoseconds.
#[derive(Debug, Default)]
struct Times {
    call: Vec<f64>,
    whole: Vec<f64>,
}

impl Times {
    /// Notes a call that is the whole.
    fn add(&mut self, took: Duration) {
        self.add_parts(took, took);
    }

    /// Notes a call, and the whole that it is a part of.
    fn add_parts(&mut self, call: Duration, whole: Duration) {
        self.call.push(call.as_nanos() as f64);
        self.whole.push(whole.as_nanos() as f64);
    }

    fn sample(&self) -> Sample {
        Sample {
            p50: quantile(self.call.iter().copied(), 0.5),
            p99: quantile(self.call.iter().copied(), 0.99),
            whole: mean(&self.whole),
        }
    }
}

/// Nothing taken yet, for each lane of a plan.
fn times(plan: &Plan) -> Vec<Times> {
    plan.lanes.iter().map(|_| Times::default()).collect()
}
