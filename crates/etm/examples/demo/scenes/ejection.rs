//! A Pod that is said to be ready begins to refuse.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use etm_model::Protocol;
use etm_testkit::objects::TrafficPolicy;
use serde_json::{Value, json};

use super::{SPAN, Scene};
use crate::{
    interrupt,
    report::Report,
    screen::{self, fact, share, time},
    stage::{Stage, wait_for},
    stream::{Sample, Stream, between, by_pod},
};

pub(super) const SCENE: Scene = Scene {
    name: "ejection",
    title: "A Pod that fails is left out, whatever its manifest says",
    about: "The server in cart-2 ends while two Pods connect without a pause; its manifest goes on saying\n\
            that it is ready. The kernel counts the failures, leaves it out, and tries it again later.",
    play,
};

const POLICY: &str = "ejection.yaml";
const FAILING: &str = "cart-2";
/// Failures in a row that eject: more than the default, lest one of two callers has all of them, and
/// the Pod is kept from that one alone.
const FAILURES: usize = 10;
/// Besides them: what each of two callers had open when the server ended, which need not count, and
/// what one of them had under way when the other had the last failure.
const LIMIT: usize = FAILURES + 3;

fn play(stage: &mut Stage, report: &mut Report) -> anyhow::Result<()> {
    let service = stage.service("cart", Protocol::Tcp)?;
    stage.files.add(POLICY, &[policy()])?;
    let begun = Instant::now();
    let streams = [
        Stream::start(stage.caller(etm_testkit::Protocol::Tcp).session(service)?)?,
        Stream::start(stage.second_caller(etm_testkit::Protocol::Tcp).session(service)?)?,
    ];
    interrupt::sleep(SPAN)?;
    let ended = Instant::now();
    stage.stop_server(FAILING)?;
    let (row, _) = wait_for("the ejection", ended, || {
        Ok(ejection(stage)?.filter(|row| row["reason"].is_string()))
    })?;
    let out = Instant::now();
    interrupt::sleep(SPAN / 2)?;
    let mended = Instant::now();
    stage.start_server(FAILING)?;
    let (_, back) =
        wait_for("the return", mended, || Ok(ejection(stage)?.is_none().then_some(())))?;
    let returned = Instant::now();
    interrupt::sleep(SPAN)?;
    let end = Instant::now();
    let mut samples = Vec::new();
    for stream in streams {
        samples.extend(stream.finish()?);
    }
    stage.files.remove(POLICY)?;

    let counts = show(&samples, [(begun, ended), (out, mended), (returned, end)]);
    let failed: Vec<_> = samples.iter().filter(|sample| !sample.call.answered()).collect();
    let first = failed.iter().map(|sample| sample.started).min().context("none failed")?;
    let last = failed.iter().map(|sample| sample.ended).max().context("none failed")?;
    fact("etm get ejections says", row["reason"].as_str().unwrap_or_default());
    fact("connections that failed", format_args!("{} of {}", failed.len(), samples.len()));
    fact("from the first of them to the last", time(last - first));
    fact("from its new start until it is back", time(back));
    println!();

    let most = format_args!("{} connections fail, at most {LIMIT} may", failed.len());
    report.check(failed.len() <= LIMIT, most);
    report.check(counts[1] == 0, "then none goes to it, although it is said to be ready");
    report.check(row["pod"] == format!("shop/{FAILING}"), "etm get ejections names it");
    report.check(counts[2] > 0, "it is back by itself");
    report.key(format!(
        "{} of {} failed, within {}",
        failed.len(),
        samples.len(),
        time(last - first)
    ));
    Ok(())
}

/// Times short enough for a demo.
fn policy() -> Value {
    let mut policy: Value = TrafficPolicy::new("cart", json!({})).namespace("shop").into();
    policy["spec"]["health"] = json!({
        "passive": {"consecutiveFailures": FAILURES},
        "ejectionTime": "1s",
        "probation": {"interval": "100ms", "successes": 3},
    });
    policy
}

/// What is told of the Pod while anything is.
fn ejection(stage: &Stage) -> anyhow::Result<Option<Value>> {
    interrupt::sleep(Duration::from_millis(10))?;
    let rows = stage.get("ejections")?;
    Ok(rows.as_array().into_iter().flatten().next().cloned())
}

/// Shows the shares of each Pod, and gives how many connections the failing one had.
fn show(samples: &[Sample], spans: [(Instant, Instant); 3]) -> [usize; 3] {
    let counts = spans.map(|(from, to)| by_pod(between(samples, from, to)));
    let rows = ["cart-1", FAILING, "cart-3"].map(|pod| {
        let shares = counts.each_ref().map(|counts| {
            let count = counts.get(pod).copied().unwrap_or_default();
            if count == 0 { "-".to_owned() } else { share(count, counts.values().sum()) }
        });
        [pod.to_owned()].into_iter().chain(shares).collect()
    });
    screen::table(&["POD", "BEFORE", "WHILE IT IS OUT", "BACK"], rows.into(), &[1, 2, 3]);
    counts.map(|counts| counts.get(FAILING).copied().unwrap_or_default())
}
