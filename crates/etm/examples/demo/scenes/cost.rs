//! What a Service costs: connect() to it against connect() to the Pod itself.

use std::{env, net::SocketAddr};

use anyhow::bail;
use etm_model::{Family, Protocol};

use super::Scene;
use crate::{
    measure::Round,
    report::Report,
    screen::{fact, note},
    stage::{Stage, output},
};

pub(super) const SCENE: Scene = Scene {
    name: "cost",
    title: "What it costs",
    about: "connect() to Service cart against connect() to its Pods themselves, taking turns connection\n\
            by connection in one process. A short measurement on a machine that does other things as\n\
            well; `make bench` makes the real one.",
    play,
};

const ROUNDS: usize = 9;
const PAIRS: usize = 2_000;

fn play(stage: &mut Stage, report: &mut Report) -> anyhow::Result<()> {
    let service = stage.service("cart", Protocol::Tcp)?;
    let pods: Vec<SocketAddr> =
        stage.cast.endpoints("cart", Family::V4, Protocol::Tcp).into_keys().collect();
    // This program again, since the process that connects must be inside of the client.
    let mut command = stage.caller_place().command(env::current_exe()?);
    command.args(["measure", "--rounds", &ROUNDS.to_string(), "--pairs", &PAIRS.to_string()]);
    command.arg(service.to_string()).args(pods.iter().map(ToString::to_string));
    let rounds = output(command)?;
    let rounds =
        rounds.lines().map(serde_json::from_str::<Round>).collect::<Result<Vec<_>, _>>()?;
    if rounds.is_empty() {
        bail!("nothing was measured");
    }
    let median = |figure: fn(&Round) -> f64| {
        let mut figures: Vec<f64> = rounds.iter().map(figure).collect();
        figures.sort_unstable_by(f64::total_cmp);
        (figures[figures.len() / 2], figures[0], figures[figures.len() - 1])
    };
    let (pod, ..) = median(|round| round.pod_ns as f64 / 1e3);
    let (through, ..) = median(|round| round.service_ns as f64 / 1e3);
    let (ratio, least, most) = median(|round| round.service_ns as f64 / round.pod_ns as f64);
    fact("rounds and connections", format_args!("{ROUNDS} of 2 x {PAIRS}"));
    fact("connect() to a Pod, p50", format_args!("{pod:.1} us"));
    fact("connect() to the Service, p50", format_args!("{through:.1} us"));
    fact("ratio, median of the rounds", format_args!("{ratio:.3} (from {least:.3} to {most:.3})"));
    note("shown, not judged: `make bench` holds it to its budget");
    println!();
    report.check(rounds.len() == ROUNDS, format_args!("{ROUNDS} rounds were measured"));
    report.key(format!("{ratio:.3} x a direct connect(), short measurement"));
    Ok(())
}
