//! What is measured, a file a section.

mod canary;
mod shares;
mod switch;

use clap::ValueEnum;
use etm_bench::run;

use crate::results::Results;

/// A part of the bench that can be run alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Section {
    /// A share of connections, and shares of callers.
    Shares,
    /// A blue-green switch on many nodes at once, and back.
    Switch,
    /// A version that refuses a fifth of its connections, and its roll-back.
    Canary,
}

impl run::Section for Section {}

impl Section {
    /// Measures it.
    pub(crate) fn measure(self, quick: bool, results: &mut Results) -> anyhow::Result<()> {
        match self {
            Self::Shares => shares::measure(if quick { 50 } else { 250 }, results),
            Self::Switch => {
                let (nodes, rounds) = if quick { (20, 2) } else { (20, 10) };
                switch::measure(nodes, rounds, results)
            }
            Self::Canary => canary::measure(if quick { 2 } else { 7 }, results),
        }
    }
}
