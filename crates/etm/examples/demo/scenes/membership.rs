//! A Pod is added, and one is removed.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use etm_model::Protocol;

use super::Scene;
use crate::{
    interrupt,
    report::Report,
    screen::{self, fact, share, time},
    stage::Stage,
    stream::{Sample, Stream, between, by_pod},
};

pub(super) const SCENE: Scene = Scene {
    name: "membership",
    title: "Pods come and go",
    about: "catalog.yaml is edited on disk while a client connects without a pause: first catalog-3\n\
            becomes ready, then catalog-1 is not ready any more.",
    play,
};

/// How long each state is watched.
const SPAN: Duration = Duration::from_millis(700);

/// Far above what it takes, and below what anybody would notice; a loaded machine may hold back
/// the agent and the client for some milliseconds each.
const LIMIT: Duration = Duration::from_millis(50);

fn play(stage: &mut Stage, report: &mut Report) -> anyhow::Result<()> {
    let service = stage.service("catalog", Protocol::Tcp)?;
    let session = stage.caller(etm_testkit::Protocol::Tcp).session(service)?;
    let begun = Instant::now();
    let stream = Stream::start(session)?;
    interrupt::sleep(SPAN)?;
    let added = Instant::now();
    stage.files.set_ready(&["catalog-3"], true)?;
    interrupt::sleep(SPAN)?;
    let removed = Instant::now();
    stage.files.set_ready(&["catalog-1"], false)?;
    interrupt::sleep(SPAN)?;
    let samples = stream.finish()?;
    stage.files.set_ready(&["catalog-1"], true)?;
    stage.files.set_ready(&["catalog-3"], false)?;

    let first = samples.iter().find(|s| s.call.pod() == Some("catalog-3"));
    let first = first.context("no connection came to catalog-3")?.ended - added;
    let last = samples.iter().rfind(|s| s.call.pod() == Some("catalog-1"));
    let last = last.context("no connection came to catalog-1")?.ended;
    let last = last.saturating_duration_since(removed);
    // The change itself is left out of the shares: connections then are of neither state.
    let end = Instant::now();
    show(&samples, [(begun, added), (added + LIMIT, removed), (removed + LIMIT, end)]);
    fact("from the write to the first one on catalog-3", time(first));
    fact("from the write to the last one on catalog-1", time(last));
    println!();

    let failed = samples.iter().filter(|sample| !sample.call.answered()).count();
    report.check(first < LIMIT, format_args!("the new Pod is in use within {}", time(LIMIT)));
    report.check(last < LIMIT, format_args!("the old Pod gets none after {}", time(LIMIT)));
    report.check(failed == 0, format_args!("{} connections, {failed} failed", samples.len()));
    report.key(format!("in after {}, out after {}", time(first), time(last)));
    Ok(())
}

fn show(samples: &[Sample], spans: [(Instant, Instant); 3]) {
    let counts = spans.map(|(from, to)| by_pod(between(samples, from, to)));
    let rows = ["catalog-1", "catalog-2", "catalog-3"].map(|pod| {
        let shares = counts.each_ref().map(|counts| {
            let count = counts.get(pod).copied().unwrap_or_default();
            if count == 0 { "-".to_owned() } else { share(count, counts.values().sum()) }
        });
        [pod.to_owned()].into_iter().chain(shares).collect()
    });
    let header = ["POD", "BEFORE", "WITH CATALOG-3", "WITHOUT CATALOG-1"];
    screen::table(&header, rows.into(), &[1, 2, 3]);
}
