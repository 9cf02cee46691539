//! A blue-green release of two Services that call one another: the switch and the way back, on many
//! nodes at once and under load.

use std::{path::PathBuf, thread::sleep, time::Duration};

use anyhow::ensure;
use serde_json::json;

use crate::{
    caller::{self, Calling, How, Plan, Report},
    clock::{milliseconds, moment},
    flips::Watch,
    nodes::Nodes,
    results::{Budget, Results},
    statistics::{median, quantile},
};

/// Requests a second from each node.
const RATE: f64 = 10.0;

/// How long callers are at one colour before the next switch.
const REST: Duration = Duration::from_millis(300);

/// A switch: when it was written, and when each node had done it.
struct Flip {
    to: &'static str,
    written: Duration,
    /// When a plain watch was told of it.
    told: Duration,
    nodes: Vec<Duration>,
}

pub(super) fn measure(count: usize, rounds: usize, results: &mut Results) -> anyhow::Result<()> {
    let nodes = Nodes::start(count, |agent| agent)?;
    let stock = nodes.service("stock", "stock", "blue")?;
    let front = nodes.service("front", "front", "blue")?;
    for (number, colour) in ["blue", "green", "blue", "green"].into_iter().enumerate() {
        nodes.pod(number % count, ("stock", colour, number), None)?;
        nodes.pod(number % count, ("front", colour, number), Some(stock))?;
    }
    for (app, colour) in
        [("front", "blue"), ("front", "green"), ("stock", "blue"), ("stock", "green")]
    {
        let address = nodes.service(&format!("{app}-{colour}"), app, colour)?;
        nodes.until_members(address, 2)?;
    }
    let callers = (0..count).map(|node| nodes.pod(node, ("caller", "any", node), None));
    let callers = callers.collect::<anyhow::Result<Vec<_>>>()?;
    let _controller = nodes.controller(|controller| controller)?;
    let pins = nodes.pins();
    let watch = Watch::new(pins.iter().map(PathBuf::as_path), &[front, stock])?;
    let plan = Plan { target: front, how: How::Rate(RATE) };
    let callings = callers.iter().map(|pod| caller::start(pod, &plan));
    let callings = callings.collect::<anyhow::Result<Vec<_>>>()?;
    let mut flips = Vec::new();
    for round in 0..rounds {
        flips.extend(run(&nodes, &watch, &format!("round-{round}"))?);
    }
    sleep(REST);
    let reports = callings.into_iter().map(Calling::stop).collect::<anyhow::Result<Vec<_>>>()?;
    tell(nodes.count(), &flips, &reports, results);
    Ok(())
}

/// There and back.
fn run(nodes: &Nodes, watch: &Watch, name: &str) -> anyhow::Result<[Flip; 2]> {
    let strategy = json!({"strategy": {"blueGreen": {"pause": {}, "hold": "2s"}}});
    nodes.release(name, &["front", "stock"], ("blue", "green"), &strategy)?;
    nodes.until_status(name, |status| status["phase"] == "Paused")?;
    sleep(REST);
    let flip = |verb: &str, to, traffic: &str| -> anyhow::Result<Flip> {
        let before = watch.leads()?;
        let mut asked = nodes.ask(verb, name)?.spawn()?;
        let flipped = watch.flips(&before)?;
        ensure!(asked.wait()?.success(), "etm release {verb} failed");
        let (status, told) = nodes.until_status(name, |status| status["traffic"] == traffic)?;
        sleep(REST);
        let written = moment(&status["since"])?;
        Ok(Flip { to, written, told, nodes: flipped })
    };
    let flips = [flip("promote", "green", "Switched")?, flip("undo", "blue", "Returned")?];
    nodes.until_status(name, |status| status["traffic"] == "Stable")?;
    nodes.delete_release(name)?;
    Ok(flips)
}

fn tell(count: usize, flips: &[Flip], reports: &[Report], results: &mut Results) {
    let times = || {
        let each = |flip: &Flip| -> Vec<f64> {
            flip.nodes.iter().map(|node| milliseconds(flip.written, *node)).collect()
        };
        flips.iter().flat_map(each)
    };
    let name = format!("switch on {count} nodes");
    results.tell(format!("{name}: switches, {RATE} requests/s from each"), flips.len() as f64, "");
    results.tell(format!("{name}: API write to flip, p50"), median(times()), "ms");
    let what = format!("{name}: API write to flip, p99");
    results.judge(what, quantile(times(), 0.99), "ms", Budget::AtMost(50.0));
    let known = flips.iter().map(|flip| milliseconds(flip.written, flip.told));
    results.tell(format!("{name}: API write to a plain watch, p50"), median(known), "ms");
    let spreads = || {
        flips.iter().map(|flip| {
            let (first, last) = (flip.nodes.iter().min(), flip.nodes.iter().max());
            first.zip(last).map_or(f64::NAN, |(first, last)| milliseconds(*first, *last))
        })
    };
    results.tell(format!("{name}: first to last node, median"), median(spreads()), "ms");
    results.tell(format!("{name}: first to last node, worst"), quantile(spreads(), 1.0), "ms");
    let requests: usize = reports.iter().map(Vec::len).sum();
    results.tell(format!("{name}: requests, each of two connections"), requests as f64, "");
    let failed = reports.iter().flatten().filter_map(|request| request.served.as_ref().err());
    let failed = failed.inspect(|why| eprintln!("failed: {why}")).count();
    results.judge(format!("{name}: failed"), failed as f64, "", Budget::AtMost(0.0));
    let served = || reports.iter().flatten().filter(|request| request.served.is_ok());
    let crossed = served().filter(|request| request.version().is_none()).count();
    let what = format!("{name}: served by both versions");
    results.judge(what, crossed as f64, "", Budget::AtMost(0.0));
    let late: usize = reports.iter().enumerate().map(|(node, of)| mixed(flips, node, of)).sum();
    let what = format!("{name}: at the old colour after the node's switch, or the new one before");
    results.judge(what, late as f64, "", Budget::AtMost(0.0));
}

/// Requests from a node that were served by another colour than the one that it led to all the while.
fn mixed(flips: &[Flip], node: usize, report: &Report) -> usize {
    let is_mixed = |request: &&caller::Request| {
        let Some(version) = request.version() else { return false };
        let done = flips.iter().filter(|flip| flip.nodes[node] <= request.began).count();
        let at =
            done.checked_sub(1).and_then(|last| flips.get(last)).map_or("blue", |flip| flip.to);
        let next = flips.get(done);
        let steady = next.is_none_or(|next| request.ended < next.written);
        version != at && (steady || next.is_some_and(|next| version != next.to))
    };
    report.iter().filter(is_mixed).count()
}
