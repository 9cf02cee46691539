//! Time in the program that sees how connections end, by the kernel's own account.

use anyhow::{Context as _, ensure};
use etm_bench::pace::{Paced, at_full_speed};
use etm_dataplane::{Baseline, Hook, RunTimeStats, Runs, View};
use etm_testkit::Cgroup;
use serde_json::Value;

use super::plan;
use crate::{
    caller::{Calls, Plan, TURN},
    covered::Covered,
    results::{Budget, Results},
    servers::TARGET,
    stage::{Calling, Stage, wait},
    statistics::median,
};

/// Turns of each way in a round: connections one after the other, each with a byte there and one
/// back.
const TURNS: usize = 50;

pub(super) fn measure(stage: &Stage, rounds: usize, results: &mut Results) -> anyhow::Result<()> {
    let covered = Covered::start(stage, &Value::Null)?;
    let uncovered = Cgroup::new()?;
    let empty = Baseline::attach(uncovered.path())?;
    stage.servers[0].keep_away()?;
    let _counting = RunTimeStats::enable()?;
    let in_turns = |program| Calls::InTurns { turns: TURNS, program };
    let bare = Plan { calls: in_turns(empty.id(Hook::TcpOutcome)?), ..plan(stage) };
    let through = Plan { calls: in_turns(outcome(&covered)?), ..plan(stage) };
    let target = stage.servers[0].pod.at(TARGET)[0];
    let (bare, direct) = (Plan { target, ..bare }, Plan { target, ..through.clone() });
    let (inside, outside) = (stage.callers[0].place(), stage.callers[0].place().within(&uncovered));
    let mut costs: [Vec<Paced<Runs>>; 3] = Default::default();
    for _ in 0..rounds {
        costs[0].extend(turns(Calling::start(|program| outside.command(program), &bare)?)?);
        costs[1].extend(turns(covered.call_from(&inside, &direct)?)?);
        costs[2].extend(turns(covered.call_from(&inside, &through)?)?);
    }
    let [empty, beside, healthy] = costs.map(at_full_speed);
    let runs = |costs: &[Runs]| median(costs.iter().map(|cost| of_each(cost.runs)));
    let time = |costs: &[Runs]| median(costs.iter().map(|cost| of_each(cost.run_time_ns)));
    results.tell("empty program: runs for a connection", runs(&empty), "");
    results.tell("tcp_outcome: runs for a healthy connection", runs(&healthy), "");
    results.tell("empty program: time for a connection", time(&empty), "ns");
    let what = "tcp_outcome above empty, a connection to no Service";
    results.tell(what, time(&beside) - time(&empty), "ns");
    let what = "tcp_outcome above empty, a healthy connection";
    results.judge(what, time(&healthy) - time(&empty), "ns", Budget::AtMost(150.0));
    Ok(())
}

/// Waits for a process that calls in turns.
fn turns(calling: Calling) -> anyhow::Result<Vec<Paced<Runs>>> {
    let report = wait(vec![calling])?;
    ensure!(report.failures.is_empty(), "connections failed: {:?}", report.failures);
    Ok(report.turns)
}

fn of_each(all: u64) -> f64 {
    all as f64 / TURN as f64
}

/// Kernel id of the program.
fn outcome(covered: &Covered) -> anyhow::Result<u32> {
    let usage = View::open(&covered.pin())?.program_usage()?;
    let usage = usage.iter().find(|usage| usage.hook == Hook::TcpOutcome);
    Ok(usage.context("no program sees how connections end")?.id)
}
