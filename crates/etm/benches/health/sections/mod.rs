//! What is measured, a file a section.

mod cost;
mod fault;
mod kube_proxy;
mod soak;

use std::time::Duration;

use clap::ValueEnum;
use etm_bench::run;
use serde_json::{Value, json};

use crate::{
    caller::{Calls, Plan},
    faults::Fault,
    results::Results,
    stage::CALLING,
    stage::Stage,
};

/// New connections a second, of all callers together.
const RATE: f64 = 200.0;

/// Failures in a row that eject; the default.
const LIMIT: f64 = 5.0;

/// How long the first ejection lasts here, so that the return is seen soon.
const EJECTION: Duration = Duration::from_secs(5);

/// How long callers wait: longer than the kernel until it repeats a SYN, which it does after 1 s.
const PATIENCE: Duration = Duration::from_secs(2);

/// A part of the bench that can be run alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Section {
    /// One Pod of eight refuses.
    Refusing,
    /// One Pod answers nothing any more.
    BlackHole,
    /// One Pod resets what it has accepted.
    Resetting,
    /// One Pod is slow, which is no reason to take it out.
    Slow,
    /// Four Pods, those of a node, answer nothing any more.
    Node,
    /// A refusing Pod behind kube-proxy's rules, with readiness at kubelet's defaults.
    KubeProxy,
    /// Callers that give up at random, and 1% of the packets lost.
    Soak,
    /// Time in the kernel program that sees how connections end.
    Cost,
}

impl run::Section for Section {}

impl Section {
    /// Measures it.
    pub(crate) fn measure(
        self,
        stage: &mut Stage,
        quick: bool,
        results: &mut Results,
    ) -> anyhow::Result<()> {
        let rounds = |full: usize| if quick { 1 } else { full };
        match self {
            Self::Refusing => fault::measure(stage, Fault::Refuses, 1, rounds(7), results),
            Self::BlackHole => fault::measure(stage, Fault::BlackHole, 1, rounds(5), results),
            Self::Resetting => fault::measure(stage, Fault::Resets, 1, rounds(5), results),
            Self::Slow => fault::measure(stage, Fault::IsSlow, 1, rounds(2), results),
            Self::Node => fault::measure(stage, Fault::BlackHole, 4, rounds(5), results),
            Self::KubeProxy => kube_proxy::measure(stage, results),
            Self::Soak => soak::measure(stage, if quick { 4_000 } else { 36_000 }, results),
            Self::Cost => cost::measure(stage, if quick { 5 } else { 11 }, results),
        }
    }
}

/// How each of the callers calls, until it is stopped.
fn plan(stage: &Stage) -> Plan {
    Plan {
        target: stage.cluster().target(),
        calls: Calls::Steadily { rate: RATE / CALLING as f64, most: None },
        patience: PATIENCE,
        aborted: 0,
    }
}

/// A policy under which the return comes soon.
fn health() -> Value {
    json!({
        "ejectionTime": "5s",
        "probation": {"interval": "100ms", "successes": 3},
    })
}
