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

/// What one connection costs a program.
struct Cost {
    runs: f64,
    /// Nanoseconds of all of them.
    time: f64,
}

pub(super) fn measure(stage: &Stage, rounds: usize, results: &mut Results) -> anyhow::Result<()> {
    let covered = Covered::start(stage, &Value::Null)?;
    let uncovered = Cgroup::new()?;
    let empty = Baseline::attach(uncovered.path())?;
    let _counting = RunTimeStats::enable()?;
    let through = Plan { most: Some(CONNECTIONS), rate: None, ..plan(stage) };
    let direct = Plan { target: stage.servers[0].pod.at(TARGET)[0], ..through.clone() };
    let (inside, outside) = (stage.callers[0].place(), stage.callers[0].place().within(&uncovered));
    let seen = || outcome(&covered);
    let mut costs: [Vec<Cost>; 3] = Default::default();
    for _ in 0..rounds {
        let bare = || Calling::start(|program| outside.command(program), &direct);
        costs[0].push(each(|| Ok(empty.outcome()?), bare)?);
        costs[1].push(each(seen, || covered.call_from(&inside, &direct))?);
        costs[2].push(each(seen, || covered.call_from(&inside, &through))?);
    }
    let [empty, beside, healthy] = &costs;
    let runs = |costs: &[Cost]| median(costs.iter().map(|cost| cost.runs));
    results.tell("empty program: runs for a connection", runs(empty), "");
    results.tell("tcp_outcome: runs for a healthy connection", runs(healthy), "");
    let time = median(empty.iter().map(|cost| cost.time));
    results.tell("empty program: time for a connection", time, "ns");
    let what = "tcp_outcome above empty, a connection to no Service";
    results.tell(what, above(beside, empty), "ns");
    let what = "tcp_outcome above empty, a healthy connection";
    results.judge(what, above(healthy, empty), "ns", Budget::AtMost(150.0));
    Ok(())
}

/// Median over the rounds.
fn above(costs: &[Cost], empty: &[Cost]) -> f64 {
    median(costs.iter().zip(empty).map(|(cost, empty)| cost.time - empty.time))
}

/// Has a process make its connections, and gives what each cost the program.
fn each(
    seen: impl Fn() -> anyhow::Result<Runs>,
    call: impl FnOnce() -> anyhow::Result<Calling>,
) -> anyhow::Result<Cost> {
    let before = seen()?;
    wait(vec![call()?])?;
    // What the server closes last ends a moment later.
    sleep(Duration::from_millis(20));
    let after = seen()?;
    let of_each = |before: u64, after: u64| (after - before) as f64 / CONNECTIONS as f64;
    Ok(Cost {
        runs: of_each(before.runs, after.runs),
        time: of_each(before.run_time_ns, after.run_time_ns),
    })
}

/// Runs of the program so far.
fn outcome(covered: &Covered) -> anyhow::Result<Runs> {
    let usage = View::open(&covered.pin())?.program_usage()?;
    let usage = usage.iter().find(|usage| usage.hook == Hook::TcpOutcome);
    let usage = usage.context("no program sees how connections end")?;
    Ok(Runs { runs: usage.runs, run_time_ns: usage.run_time_ns })
}
