//! Time in the kernel programs, by the kernel's own account of each run.

use anyhow::Context as _;
use etm_dataplane::{Baseline, Hook, RunTimeStats, Runs, View};
use rustix::io::Errno;

use crate::{
    client::{Lane, Plan, Work},
    results::{Budget, Results},
    stage::{Covered, Stage},
    statistics::median,
};

/// Numbers of Services between which the time must stay flat.
const FEW: usize = 100;
const MANY: usize = 10_000;

/// A way through the programs, and those that it goes through: the empty ones without an agent.
pub(super) struct Way<'a> {
    pub(super) lane: Lane,
    pub(super) covered: Option<&'a Covered>,
}

/// Nanoseconds a run, round by round.
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

    let costs = run(stage, &alone, &empty, rounds, 20_000)?;
    results.tell("connect4, empty program", median(costs[0].connect.iter().copied()), "ns");
    let what = "connect4 above empty, not a Service, at 10000 Services";
    results.judge(what, above(&costs, 1, connect), "ns", Budget::AtMost(40.0));
    let what = "connect4 above empty, TCP hit, at 100 Services";
    results.judge(what, above(&costs, 2, connect), "ns", Budget::AtMost(120.0));
    let what = "connect4 above empty, TCP hit, at 10000 Services";
    results.judge(what, above(&costs, 3, connect), "ns", Budget::AtMost(120.0));
    let flat = costs[3].connect.iter().zip(&costs[2].connect).map(|(many, few)| many / few);
    let what = "connect4, TCP hit, at 10000 / at 100 Services";
    results.judge(what, median(flat), "ratio", Budget::AtMost(1.15));
    let what = "connect4 above empty, refusal, at 10000 Services";
    results.tell(what, above(&costs, 4, connect), "ns");
    results.tell("sock_release above empty, not a Service", above(&costs, 1, release), "ns");
    results.tell("sock_release above empty, TCP hit", above(&costs, 3, release), "ns");

    let costs = run(stage, &whole, &empty, rounds, 2_000)?;
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
    results.tell(
        "tcp_outcome, empty program, each connection",
        median(costs[0].outcome.iter().copied()),
        "ns",
    );
    Ok(())
}

/// Goes every way in each round.
pub(super) fn run(
    stage: &Stage,
    ways: &[Way<'_>],
    empty: &Baseline,
    rounds: usize,
    repetitions: usize,
) -> anyhow::Result<Vec<Costs>> {
    let mut costs: Vec<Costs> = ways.iter().map(|_| Costs::default()).collect();
    for _ in 0..rounds {
        for (way, costs) in ways.iter().zip(&mut costs) {
            let lanes = vec![way.lane.clone()];
            let before = runs(way.covered, empty)?;
            stage.run(&Plan { work: Work::Connects, lanes, rounds: 1, repetitions })?;
            let after = runs(way.covered, empty)?;
            costs.connect.push(each(before.0, after.0));
            costs.release.push(each(before.1, after.1));
            costs.outcome.push(each(
                before.2,
                Runs { runs: before.2.runs + after.0.runs - before.0.runs, ..after.2 },
            ));
        }
    }
    Ok(costs)
}

/// Runs at connect4 and at sock_release so far.
fn runs(covered: Option<&Covered>, empty: &Baseline) -> anyhow::Result<(Runs, Runs, Runs)> {
    let Some(covered) = covered else {
        return Ok((empty.connect()?, empty.release()?, empty.outcome()?));
    };
    let usage = View::open(&covered.pin())?.program_usage()?;
    let of = |hook: Hook| {
        let usage = usage.iter().find(|usage| usage.hook == hook);
        usage.map(|usage| Runs { runs: usage.runs, run_time_ns: usage.run_time_ns })
    };
    let missing = "a hook without a program";
    let outcome = of(Hook::TcpOutcome).context(missing)?;
    Ok((of(Hook::Connect4).context(missing)?, of(Hook::SockRelease).context(missing)?, outcome))
}

fn each(before: Runs, after: Runs) -> f64 {
    (after.run_time_ns - before.run_time_ns) as f64 / (after.runs - before.runs) as f64
}

/// Median over the rounds of a way's cost above the first one's, that of the empty program.
fn above(costs: &[Costs], way: usize, hook: fn(&Costs) -> &Vec<f64>) -> f64 {
    let (way, empty) = (hook(&costs[way]), hook(&costs[0]));
    median(way.iter().zip(empty).map(|(way, empty)| way - empty))
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
