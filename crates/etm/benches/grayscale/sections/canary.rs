//! A version that refuses a fifth of its connections: from the step that leads callers to it until
//! the node leads nobody there.

use std::{path::PathBuf, thread::sleep, time::Duration};

use anyhow::{Context as _, ensure};
use etm_testkit::{HollowPod, certificate};
use serde_json::json;
use tempfile::TempDir;

use crate::{
    caller::{self, Calling, How, Plan, Report},
    clock::{milliseconds, moment},
    flips::Watch,
    nodes::Nodes,
    results::{Budget, Results},
    statistics::{median, quantile},
};

/// Pods that call, and connections a second of each.
const CALLERS: usize = 4;
const RATE: f64 = 150.0;

/// Percent of connections that the step leads to the new version, and of which so many are refused.
const WEIGHT: u32 = 20;
const REFUSED: u32 = 20;

/// Where the agent answers the controller.
const OUTCOMES: &str = "127.0.0.1:9443";

/// How long callers call before the step.
const WARM: Duration = Duration::from_secs(1);

struct Round {
    /// From the step to the roll-back in the node's maps, in seconds.
    rolled_back: f64,
    /// Connections to the new version until then, as far as they were answered.
    served: usize,
    harmed: usize,
    /// Connections to the new version that began later.
    late: usize,
}

pub(super) fn measure(rounds: usize, results: &mut Results) -> anyhow::Result<()> {
    let folder = TempDir::new()?;
    certificate(folder.path(), etm_outcomes::NAME)?;
    let tls = |what: &str| [what.to_owned(), folder.path().display().to_string()];
    let nodes = Nodes::start(1, |agent| {
        let [flag, path] = tls("--outcomes-tls");
        agent.arg("--outcomes").arg(OUTCOMES).arg(flag).arg(path)
    })?;
    let web = nodes.service("web", "web", "old")?;
    nodes.pod(0, ("web", "old", 0), None)?;
    let bad = nodes.pod(0, ("web", "new", 0), None)?;
    for version in ["old", "new"] {
        let address = nodes.service(&format!("web-{version}"), "web", version)?;
        nodes.until_members(address, 1)?;
    }
    refuse(&bad)?;
    let callers = (0..CALLERS).map(|number| nodes.pod(0, ("caller", "any", number), None));
    let callers = callers.collect::<anyhow::Result<Vec<_>>>()?;
    let place = nodes.network(0);
    let _controller = nodes.controller(|controller| {
        let [flag, path] = tls("--outcomes-tls");
        controller.place(&place).arg("--agents").arg(OUTCOMES).arg(flag).arg(path)
    })?;
    let pins = nodes.pins();
    let watch = Watch::new(pins.iter().map(PathBuf::as_path), &[web])?;
    let plan = Plan { target: web, how: How::Rate(RATE) };
    let mut all = Vec::new();
    for number in 0..rounds {
        let round = run(&nodes, &watch, &callers, &plan, &format!("round-{number}"))?;
        eprintln!(
            "bad canary: rolled back after {:.3} s, {} harmed of {}",
            round.rolled_back,
            round.harmed,
            round.served + round.harmed
        );
        all.push(round);
    }
    tell(&all, results);
    Ok(())
}

/// Has a Pod refuse a share of connections, at random.
fn refuse(pod: &HollowPod) -> anyhow::Result<()> {
    let container = pod.container("main").context("no container")?;
    let rule = format!(
        "table inet bad {{ chain in {{ type filter hook input priority 0; tcp flags & (syn|ack) == \
         syn numgen random mod 100 < {REFUSED} reject with tcp reset; }}; }}"
    );
    let status = container.place.command("nft").arg(rule).status().context("run nft")?;
    ensure!(status.success(), "nft ended with {status}");
    Ok(())
}

fn run(
    nodes: &Nodes,
    watch: &Watch,
    callers: &[HollowPod],
    plan: &Plan,
    name: &str,
) -> anyhow::Result<Round> {
    let steps = json!([
        {"percent": 0, "pause": {}}, {"weight": WEIGHT, "pause": {"duration": "10m"}},
    ]);
    let spec = json!({
        "strategy": {"canary": {"steps": steps, "hold": "0s"}},
        "analysis": {"interval": "500ms", "connections": {"refusedShare": "5"}},
    });
    nodes.release(name, &["web"], ("old", "new"), &spec)?;
    nodes.until_status(name, |status| status["phase"] == "Paused")?;
    let callings = callers.iter().map(|pod| caller::start(pod, plan));
    let callings = callings.collect::<anyhow::Result<Vec<_>>>()?;
    sleep(WARM);
    let before = watch.leads()?;
    let mut asked = nodes.ask("promote", name)?.spawn()?;
    watch.flips(&before)?;
    let at_step = watch.leads()?;
    let rolled_back = watch.flips(&at_step)?;
    let rolled_back = *rolled_back.iter().max().context("no node")?;
    ensure!(asked.wait()?.success(), "etm release promote failed");
    let (status, _) = nodes.until_status(name, |status| status["phase"] == "RolledBack")?;
    let message = status["message"].as_str().unwrap_or_default();
    ensure!(message.starts_with("AnalysisFailed"), "{message}");
    sleep(WARM);
    let reports = callings.into_iter().map(Calling::stop).collect::<anyhow::Result<Vec<_>>>()?;
    let reports: Report = reports.into_iter().flatten().collect();
    nodes.delete_release(name)?;
    let history = status["history"].as_array().into_iter().flatten();
    let mut steps = history.filter(|event| event["reason"] == "Stepped");
    let step = moment(&steps.next().context("no step")?["time"])?;
    let of_new = || reports.iter().filter(|request| request.version() == Some("new"));
    let failed = || reports.iter().filter(|request| request.served.is_err());
    Ok(Round {
        rolled_back: milliseconds(step, rolled_back) / 1e3,
        served: of_new().count(),
        harmed: failed().count(),
        late: of_new().chain(failed()).filter(|request| request.began > rolled_back).count(),
    })
}

fn tell(rounds: &[Round], results: &mut Results) {
    let times = || rounds.iter().map(|round| round.rolled_back);
    let name = format!("bad canary, {REFUSED}% refused");
    let rate = RATE * CALLERS as f64;
    let what = format!("{name}: rounds, {rate} connections/s, {WEIGHT}% to it, interval 500 ms");
    results.tell(what, rounds.len() as f64, "");
    results.tell(format!("{name}: step to roll-back on the node, median"), median(times()), "s");
    let what = format!("{name}: step to roll-back on the node, worst round");
    results.judge(what, quantile(times(), 1.0), "s", Budget::AtMost(2.0));
    let harmed = || rounds.iter().map(|round| round.harmed as f64);
    let all = rounds.iter().map(|round| (round.harmed + round.served) as f64);
    results.tell(format!("{name}: connections harmed, median"), median(harmed()), "");
    results.tell(format!("{name}: connections harmed, worst round"), quantile(harmed(), 1.0), "");
    results.tell(format!("{name}: connections to it, median"), median(all), "");
    let late: usize = rounds.iter().map(|round| round.late).sum();
    let what = format!("{name}: connections to it that began after the roll-back");
    results.judge(what, late as f64, "", Budget::AtMost(0.0));
    // Not measured, but what their documentation has: docs/performance.md names the pages.
    let what = "beside it: Flagger, interval times threshold of its tutorial for the Gateway API";
    results.tell(what, 300.0, "s");
    let what = "beside it: Argo Rollouts, the example of its documentation on analysis, about";
    results.tell(what, 900.0, "s");
}
