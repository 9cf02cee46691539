//! Time in the kernel programs, by the kernel's own account of each run.

use anyhow::Context as _;
use etm_dataplane::{Baseline, Hook, RunTimeStats, Runs, View};

use crate::{
    client::{Lane, Plan, Work},
    results::{Budget, Results},
    stage::{Covered, Stage},
    statistics::median,
};

/// Numbers of Services between which the time must stay flat.
const FEW: usize = 100;
const MANY: usize = 10_000;

/// Connections of one round of one kind.
const CONNECTIONS: usize = 1_500;

/// Nanoseconds a run, round by round.
#[derive(Default)]
struct Costs {
    connect: Vec<f64>,
    release: Vec<f64>,
}

pub(super) fn measure(stage: &Stage, rounds: usize, results: &mut Results) -> anyhow::Result<()> {
    let (few, many) = (stage.covered(FEW)?, stage.covered(MANY)?);
    let empty = Baseline::attach(stage.bare_cgroup().path())?;
    let _counting = RunTimeStats::enable()?;

    let hit = |covered: &Covered| stage.through(covered, covered.cluster.targets());
    let refusing = Lane { refused: true, ..stage.through(&many, many.cluster.target("refusing"))? };
    let kinds: [(Lane, Option<&Covered>); 5] = [
        (stage.bare()?, None),
        (stage.direct(&many)?, Some(&many)),
        (hit(&few)?, Some(&few)),
        (hit(&many)?, Some(&many)),
        (refusing, Some(&many)),
    ];
    let mut costs: [Costs; 5] = Default::default();
    for _ in 0..rounds {
        for ((lane, covered), costs) in kinds.iter().zip(&mut costs) {
            let before = runs(*covered, &empty)?;
            let plan = Plan {
                work: Work::Connects,
                lanes: vec![lane.clone()],
                rounds: 1,
                repetitions: CONNECTIONS,
            };
            stage.run(&plan)?;
            let after = runs(*covered, &empty)?;
            costs.connect.push(each(before.0, after.0));
            costs.release.push(each(before.1, after.1));
        }
    }

    let above = |kind: usize| {
        median(costs[kind].connect.iter().zip(&costs[0].connect).map(|(run, empty)| run - empty))
    };
    results.tell("connect4, empty program", median(costs[0].connect.iter().copied()), "ns");
    let pass = "connect4 above empty, not a Service, at 10000 Services";
    results.judge(pass, above(1), "ns", Budget::AtMost(40.0));
    let few = "connect4 above empty, TCP hit, at 100 Services";
    results.judge(few, above(2), "ns", Budget::AtMost(120.0));
    let many = "connect4 above empty, TCP hit, at 10000 Services";
    results.judge(many, above(3), "ns", Budget::AtMost(120.0));
    let flat = median(costs[3].connect.iter().zip(&costs[2].connect).map(|(many, few)| many / few));
    let what = "connect4, TCP hit, at 10000 / at 100 Services";
    results.judge(what, flat, "ratio", Budget::AtMost(1.15));
    results.tell("connect4 above empty, refusal, at 10000 Services", above(4), "ns");

    let above = |kind: usize| {
        median(costs[kind].release.iter().zip(&costs[0].release).map(|(run, empty)| run - empty))
    };
    results.tell("sock_release above empty, not a Service", above(1), "ns");
    results.tell("sock_release above empty, Service, at 10000 Services", above(3), "ns");
    Ok(())
}

/// Runs at connect4 and at sock_release: of the agent's programs, or else of the empty ones.
fn runs(covered: Option<&Covered>, empty: &Baseline) -> anyhow::Result<(Runs, Runs)> {
    let Some(covered) = covered else { return Ok((empty.connect()?, empty.release()?)) };
    let usage = View::open(&covered.pin())?.program_usage()?;
    let of = |hook: Hook| {
        let usage = usage.iter().find(|usage| usage.hook == hook);
        usage.map(|usage| Runs { runs: usage.runs, run_time_ns: usage.run_time_ns })
    };
    let missing = "a hook without a program";
    Ok((of(Hook::Connect4).context(missing)?, of(Hook::SockRelease).context(missing)?))
}

fn each(before: Runs, after: Runs) -> f64 {
    (after.run_time_ns - before.run_time_ns) as f64 / (after.runs - before.runs) as f64
}
