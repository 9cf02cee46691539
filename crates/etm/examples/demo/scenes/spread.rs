//! Load is spread over the Pods.

use std::time::Instant;

use etm_model::{Family, Protocol};

use super::Scene;
use crate::{
    report::Report,
    screen::{self, bar, fact, percent, share},
    stage::Stage,
    stream::by_pod,
};

pub(super) const SCENE: Scene = Scene {
    name: "spread",
    title: "Load is spread over the Pods",
    about: "Each connection goes to a Pod of its own choice: 3,000 connections to Service cart, each\n\
            with an HTTP request.",
    play,
};

const CONNECTIONS: usize = 3_000;

/// Six standard deviations of a fair choice among three, so that chance alone never fails it.
const TOLERANCE: f64 = 5.2;

fn play(stage: &mut Stage, report: &mut Report) -> anyhow::Result<()> {
    let service = stage.service("cart", Protocol::Tcp)?;
    let started = Instant::now();
    let calls = stage.caller(etm_testkit::Protocol::Tcp).calls(service, CONNECTIONS)?;
    let took = started.elapsed();
    let counts = by_pod(&calls);
    let answered: usize = counts.values().sum();
    let endpoints = stage.cast.endpoints("cart", Family::V4, Protocol::Tcp);
    let rows = endpoints.iter().map(|(address, pod)| {
        let count = counts.get(pod).copied().unwrap_or_default();
        let cells = [pod.clone(), address.to_string(), count.to_string()];
        cells.into_iter().chain([share(count, answered), bar(count, answered)]).collect()
    });
    screen::table(&["POD", "ADDRESS", "CONNECTIONS", "SHARE", ""], rows.collect(), &[2, 3]);
    fact(
        "connections with request and answer",
        format_args!("{answered} in {}, one after the other", screen::time(took)),
    );
    println!();

    let fair = 100.0 / endpoints.len() as f64;
    let shares = endpoints
        .values()
        .map(|pod| percent(counts.get(pod).copied().unwrap_or_default(), answered));
    let off = shares.map(|share| (share - fair).abs()).fold(0.0, f64::max);
    report.check(answered == CONNECTIONS, "every connection was answered");
    report.check(counts.len() == endpoints.len(), "every Pod got some, and nobody else");
    report.check(off < TOLERANCE, format_args!("no share is more than {TOLERANCE} points off"));
    report.key(format!("{answered} connections, at most {off:.1} points from {fair:.1}%"));
    Ok(())
}
