//! connect() and connect-request-response-close.

use super::{microseconds, ratio};
use crate::{
    client::{Plan, Work},
    results::{Budget, Results},
    stage::Stage,
};

/// Numbers of Services to compare at.
const SERVICES: [usize; 3] = [1, 1_000, 10_000];

/// The number at which a list of Services shows what it costs.
const MANY: usize = 10_000;

pub(super) fn measure(stage: &Stage, rounds: usize, results: &mut Results) -> anyhow::Result<()> {
    for services in SERVICES {
        against_direct(stage, rounds, services, results)?;
        against_filters(stage, rounds, services, results)?;
    }
    Ok(())
}

/// These two alone, since a difference of a hundredth drowns beside lanes that empty the caches.
fn against_direct(
    stage: &Stage,
    rounds: usize,
    services: usize,
    results: &mut Results,
) -> anyhow::Result<()> {
    let covered = stage.covered(services)?;
    let etm = stage.through(&covered, covered.cluster.targets())?;
    let lanes = vec![stage.direct(&covered)?, etm];
    let rounds =
        stage.run(&Plan { work: Work::Connections, lanes, rounds, repetitions: 4_000 })?;
    let at = format!("at {services} Services");
    results.judge(
        format!("connect p50, etm / direct, {at}"),
        ratio(&rounds, 1, 0, |sample| sample.p50),
        "ratio",
        Budget::AtMost(1.015),
    );
    results.tell(
        format!("connect p99, etm / direct, {at}"),
        ratio(&rounds, 1, 0, |sample| sample.p99),
        "ratio",
    );
    results.tell(
        format!("connect-request-response-close time, etm / direct, {at}"),
        ratio(&rounds, 1, 0, |sample| sample.whole),
        "ratio",
    );
    Ok(())
}

fn against_filters(
    stage: &Stage,
    rounds: usize,
    services: usize,
    results: &mut Results,
) -> anyhow::Result<()> {
    let covered = stage.covered(services)?;
    let (nftables, iptables) = (stage.nftables(services)?, stage.iptables(services)?);
    let targets = covered.cluster.targets();
    let lanes = vec![
        stage.bare()?,
        stage.direct(&covered)?,
        stage.through(&covered, targets.clone())?,
        stage.filtered(&nftables, targets.clone())?,
        stage.filtered(&iptables, targets)?,
    ];
    let names = ["no etm", "etm, not a Service", "etm", "nftables", "iptables"];
    let rounds =
        stage.run(&Plan { work: Work::Connections, lanes, rounds, repetitions: 1_000 })?;
    let at = format!("at {services} Services");
    for (lane, name) in names.iter().enumerate() {
        let value = microseconds(&rounds, lane, |sample| sample.p50);
        results.tell(format!("connect p50, {name}, {at}"), value, "us");
    }
    for (lane, name) in names.iter().enumerate() {
        let value = microseconds(&rounds, lane, |sample| sample.p99);
        results.tell(format!("connect p99, {name}, {at}"), value, "us");
    }
    for (lane, name) in names.iter().enumerate() {
        let rate = 1e6 / microseconds(&rounds, lane, |sample| sample.whole);
        results.tell(format!("connect-request-response-close, {name}, {at}"), rate, "1/s");
    }
    results.judge(
        format!("connect p50, nftables / etm, {at}"),
        ratio(&rounds, 3, 2, |sample| sample.p50),
        "ratio",
        Budget::AtLeast(1.25),
    );
    let slower = ratio(&rounds, 4, 2, |sample| sample.p50);
    let what = format!("connect p50, iptables / etm, {at}");
    if services == MANY {
        results.judge(what, slower, "ratio", Budget::AtLeast(3.0));
    } else {
        results.tell(what, slower, "ratio");
    }
    results.tell(
        format!("connect p50, not a Service / no etm, {at}"),
        ratio(&rounds, 1, 0, |sample| sample.p50),
        "ratio",
    );
    Ok(())
}
