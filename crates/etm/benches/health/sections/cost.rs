//! Time in the program that sees how connections end, by the kernel's own account.

use std::{thread::sleep, time::Duration};

use anyhow::Context as _;
use etm_dataplane::{Baseline, Hook, RunTimeStats, Runs, View};
use etm_testkit::Cgroup;
use serde_json::Value;

use super::plan;
use crate::{
    caller::Plan,
    covered::Covered,
    results::{Budget, Results},
    servers::TARGET,
    stage::{Calling, Stage, wait},
    statistics::median,
};

/// Connections of a round, one after the other, each with a byte there and one back.
const CONNECTIONS: u64 = 3_000;

pub(super) fn measure(stage: &Stage, rounds: usize, results: &mut Results) -> anyhow::Result<()> {
    let covered = Covered::start(stage, &Value::Null)?;
    let bare = Cgroup::new()?;
    let empty = Baseline::attach(bare.path())?;
    let _counting = RunTimeStats::enable()?;
    let through = Plan { most: Some(CONNECTIONS), rate: None, ..plan(stage) };
    let direct = Plan { target: stage.servers[0].pod.at(TARGET)[0], ..through.clone() };
    let (mut with, mut without) = (Vec::new(), Vec::new());
    let (mut runs, mut empty_runs) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let before = empty.outcome()?;
        let place = stage.callers[0].place().within(&bare);
        wait(vec![Calling::start(&place, &direct)?])?;
        let after = empty.outcome()?;
        without.push(each(before, after));
        empty_runs.push(runs_each(before, after));

        let before = outcome(&covered)?;
        let first = stage.callers[0].place();
        wait(vec![covered.call_from(&first, &through)?])?;
        // Those that the server closes last end a moment later.
        sleep(Duration::from_millis(20));
        let after = outcome(&covered)?;
        with.push(each(before, after));
        runs.push(runs_each(before, after));
    }
    results.tell("tcp_outcome, empty program, each connection", median(without.clone()), "ns");
    results.tell("runs of the empty program, each connection", median(empty_runs), "");
    results.tell("runs of tcp_outcome, each healthy connection", median(runs), "");
    let above = median(with.iter().zip(&without).map(|(with, without)| with - without));
    let what = "tcp_outcome above empty, each healthy connection";
    results.judge(what, above, "ns", Budget::AtMost(150.0));
    Ok(())
}

/// Runs of the program so far.
fn outcome(covered: &Covered) -> anyhow::Result<Runs> {
    let usage = View::open(&covered.pin())?.program_usage()?;
    let usage = usage.iter().find(|usage| usage.hook == Hook::TcpOutcome);
    let usage = usage.context("no program sees how connections end")?;
    Ok(Runs { runs: usage.runs, run_time_ns: usage.run_time_ns })
}

/// Nanoseconds of all runs for one connection.
fn each(before: Runs, after: Runs) -> f64 {
    (after.run_time_ns - before.run_time_ns) as f64 / CONNECTIONS as f64
}

fn runs_each(before: Runs, after: Runs) -> f64 {
    (after.runs - before.runs) as f64 / CONNECTIONS as f64
}
