//! Throughput once a connection is open.

use super::ratio;
use crate::{
    client::{Plan, Work},
    results::{Budget, Results},
    server::TRANSFER,
    stage::Stage,
    statistics::median,
};

pub(super) fn measure(stage: &Stage, rounds: usize, results: &mut Results) -> anyhow::Result<()> {
    let covered = stage.covered(1)?;
    let nftables = stage.nftables(1)?;
    let bulk = covered.cluster.target("bulk");
    let lanes = vec![
        stage.direct_bulk(&covered)?,
        stage.through(&covered, bulk.clone())?,
        stage.filtered(&nftables, bulk)?,
    ];
    let rounds = stage.run(&Plan { work: Work::Streams, lanes, rounds, repetitions: 12 })?;
    let speed = |lane: usize| {
        median(rounds.iter().map(|round| TRANSFER as f64 / round[lane].p50)) // bytes a nanosecond
    };
    for (lane, name) in ["direct", "etm", "nftables"].into_iter().enumerate() {
        results.tell(format!("established throughput, {name}"), speed(lane), "GB/s");
    }
    results.judge(
        "established throughput, etm / direct",
        ratio(&rounds, 0, 1, |sample| sample.p50),
        "ratio",
        Budget::AtLeast(0.99),
    );
    results.tell(
        "established throughput, nftables / direct",
        ratio(&rounds, 0, 2, |sample| sample.p50),
        "ratio",
    );
    Ok(())
}
