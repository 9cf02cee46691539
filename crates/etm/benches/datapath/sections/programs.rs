//! Time in the kernel programs, by the kernel's own account of each run.

use anyhow::Context as _;
use etm_bench::pace::at_full_speed;
use etm_dataplane::{Baseline, RunTimeStats, Runs, View};
use rustix::io::Errno;

use crate::{
    client::{
        Lane,
        counted::{self, HOOKS},
    },
    covered::Covered,
    results::{Budget, Results},
    stage::Stage,
    statistics::median,
};

/// Numbers of Services between which the time must stay flat.
const FEW: usize = 100;
const MANY: usize = 10_000;

/// Turns of each way in a round.
const TURNS: usize = 40;
/// Calls of a turn.
pub(super) const ALONE: usize = 100;
/// The same, where each is a whole connection.
const WHOLE: usize = 50;

/// A way through the programs, and those that it goes through: the empty ones without an agent.
pub(super) struct Way<'a> {
    pub(super) lane: Lane,
    pub(super) covered: Option<&'a Covered>,
}

/// Nanoseconds a run, turn by turn.
#[derive(Default)]
pub(super) struct Costs {
    pub(super) connect: Vec<f64>,
    release: Vec<f64>,
    /// Of all runs of one connection, the client's and, where it is covered, the server's.
    outcome: Vec<f64>,
}

pub(super) fn measure(stage: &Stage, rounds: usize, results: &mut Results) -> anyhow::Result<()> {
    let (few, many) = (stage.covered(FEW)?, stage.covered(MANY)?);
    let empty = Baseline::attach(stage.bare_cgroup().path())?;
    let _counting = RunTimeStats::enable()?;

    let hit = |covered| -> anyhow::Result<Way<'_>> {
        let lane = stage.through(covered, covered.cluster.targets())?;
        Ok(Way { lane, covered: Some(covered) })
    };
    let refusal = Lane {
        errno: Some(Errno::CONNREFUSED.raw_os_error()),
        ..stage.through(&many, many.cluster.target("refusing"))?
    };
    let whole = [
        Way { lane: stage.bare()?, covered: None },
        Way { lane: stage.direct(&many)?, covered: Some(&many) },
        hit(&few)?,
        hit(&many)?,
        Way { lane: refusal, covered: Some(&many) },
    ];
    let mut alone = Vec::new();
    for way in &whole {
        alone.push(Way { lane: stage.cut_off(&way.lane)?, covered: way.covered });
    }

    let costs = run(stage, &alone, &empty, rounds, ALONE)?;
    results.tell("connect4, empty program", typical(&costs[0].connect), "ns");
    let what = "connect4 above empty, not a Service, at 10000 Services";
    results.judge(what, above(&costs, 1, connect), "ns", Budget::AtMost(40.0));
    let what = "connect4 above empty, TCP hit, at 100 Services";
    results.judge(what, above(&costs, 2, connect), "ns", Budget::AtMost(120.0));
    let what = "connect4 above empty, TCP hit, at 10000 Services";
    results.judge(what, above(&costs, 3, connect), "ns", Budget::AtMost(120.0));
    let flat = typical(&costs[3].connect) / typical(&costs[2].connect);
    let what = "connect4, TCP hit, at 10000 / at 100 Services";
    results.judge(what, flat, "ratio", Budget::AtMost(1.15));
    let what = "connect4 above empty, refusal, at 10000 Services";
    results.tell(what, above(&costs, 4, connect), "ns");
    results.tell("sock_release above empty, not a Service", above(&costs, 1, release), "ns");
    results.tell("sock_release above empty, TCP hit", above(&costs, 3, release), "ns");

    let costs = run(stage, &whole, &empty, rounds, WHOLE)?;
    let told = [
        (1, "not a Service, at 10000 Services"),
        (2, "TCP hit, at 100 Services"),
        (3, "TCP hit, at 10000 Services"),
    ];
    for (way, name) in told {
        let what = format!("connect4 above empty, amid handshakes, {name}");
        results.tell(what, above(&costs, way, connect), "ns");
        let what = format!("tcp_outcome above empty, each connection, {name}");
        results.tell(what, above(&costs, way, outcome), "ns");
    }
    results.tell("tcp_outcome, empty program, each connection", typical(&costs[0].outcome), "ns");
    Ok(())
}

/// Goes every way in turn, and gives the costs where the processor ran at full speed.
pub(super) fn run(
    stage: &Stage,
    ways: &[Way<'_>],
    empty: &Baseline,
    rounds: usize,
    calls: usize,
) -> anyhow::Result<Vec<Costs>> {
    let ways = ways.iter().map(|way| {
        Ok(counted::Way { lane: way.lane.clone(), programs: programs(way.covered, empty)? })
    });
    let ways = ways.collect::<anyhow::Result<Vec<_>>>()?;
    let mut costs: Vec<Costs> = ways.iter().map(|_| Costs::default()).collect();
    let turns = stage.count(&counted::Plan { ways, turns: rounds * TURNS, calls })?;
    for (way, costs) in costs.iter_mut().enumerate() {
        for [connect, release, outcome] in at_full_speed(turns.iter().map(|turns| turns[way])) {
            costs.connect.push(each(connect, connect.runs));
            costs.release.push(each(release, release.runs));
            costs.outcome.push(each(outcome, connect.runs));
        }
    }
    Ok(costs)
}

/// Kernel ids of the programs of a way.
fn programs(covered: Option<&Covered>, empty: &Baseline) -> anyhow::Result<[u32; 3]> {
    let usage = match covered {
        Some(covered) => View::open(&covered.pin())?.program_usage()?,
        None => Vec::new(),
    };
    let mut programs = [0; 3];
    for (program, hook) in programs.iter_mut().zip(HOOKS) {
        *program = match (covered, usage.iter().find(|usage| usage.hook == hook)) {
            (None, _) => empty.id(hook)?,
            (Some(_), usage) => usage.context("a hook without a program")?.id,
        };
    }
    Ok(programs)
}

fn each(all: Runs, times: u64) -> f64 {
    all.run_time_ns as f64 / times as f64
}

/// A way's cost above the first one's, that of the empty program.
fn above(costs: &[Costs], way: usize, hook: fn(&Costs) -> &Vec<f64>) -> f64 {
    typical(hook(&costs[way])) - typical(hook(&costs[0]))
}

pub(super) fn typical(costs: &[f64]) -> f64 {
    median(costs.iter().copied())
}

fn connect(costs: &Costs) -> &Vec<f64> {
    &costs.connect
}

fn release(costs: &Costs) -> &Vec<f64> {
    &costs.release
}

fn outcome(costs: &Costs) -> &Vec<f64> {
    &costs.outcome
}
