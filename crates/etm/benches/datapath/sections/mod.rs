//! What is measured, a file a section.

mod balancing;
mod connections;
mod datagrams;
mod established;
mod programs;
mod routes;
mod scale;

use clap::ValueEnum;
use etm_bench::run;

use crate::{client::Sample, results::Results, stage::Stage, statistics::median};

/// A part of the bench that can be run alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Section {
    /// connect() and whole exchanges, against direct ones, nftables and iptables.
    Connections,
    /// Throughput of connections that are open.
    Established,
    /// Requests and answers over unconnected UDP.
    Datagrams,
    /// Time in the kernel programs, by the kernel's own account.
    Programs,
    /// Time in the kernel programs where members are not chosen evenly at random.
    Balancing,
    /// Time in the kernel programs where a route says who gets what.
    Routes,
    /// 10,000 Services with 10 endpoints each: time and memory.
    Scale,
}

impl run::Section for Section {
    fn document(self) -> Option<&'static str> {
        // What a routed hit costs is told beside what routes do.
        (self == Self::Routes).then_some("grayscale")
    }
}

impl Section {
    /// Measures it.
    pub(crate) fn measure(
        self,
        stage: &Stage,
        rounds: usize,
        results: &mut Results,
    ) -> anyhow::Result<()> {
        match self {
            Self::Connections => connections::measure(stage, rounds, results),
            Self::Established => established::measure(stage, rounds, results),
            Self::Datagrams => datagrams::measure(stage, rounds, results),
            Self::Programs => programs::measure(stage, rounds, results),
            Self::Balancing => balancing::measure(stage, rounds, results),
            Self::Routes => routes::measure(stage, rounds, results),
            Self::Scale => scale::measure(results),
        }
    }
}

/// One of the figures of a sample.
type Figure = fn(&Sample) -> f64;

/// Median over the rounds of one lane's figure against another's in the same round.
fn ratio(rounds: &[Vec<Sample>], lane: usize, base: usize, figure: Figure) -> f64 {
    median(rounds.iter().map(|round| figure(&round[lane]) / figure(&round[base])))
}

/// Median over the rounds of one lane's figure, in microseconds.
fn microseconds(rounds: &[Vec<Sample>], lane: usize, figure: Figure) -> f64 {
    median(rounds.iter().map(|round| figure(&round[lane]) / 1e3))
}
