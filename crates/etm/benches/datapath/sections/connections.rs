//! connect() and connect-request-response-close.

use super::{Figure, microseconds, ratio};
use crate::{
    client::{Plan, Work},
    covered::Covered,
    results::{Budget, Results},
    stage::Stage,
};

/// Numbers of Services to compare at.
const SERVICES: [usize; 3] = [1, 1_000, 10_000];

/// The number at which a list of Services shows what it costs.
const MANY: usize = 10_000;

pub(super) fn measure(stage: &Stage, rounds: usize, results: &mut Results) -> anyhow::Result<()> {
    for services in SERVICES {
        let covered = stage.covered(services)?;
        against_direct(stage, &covered, rounds, services, results)?;
        against_filters(stage, &covered, rounds, services, results)?;
    }
    Ok(())
}

/// These two alone, since a difference of a hundredth drowns beside lanes that empty the caches.
fn against_direct(
    stage: &Stage,
    covered: &Covered,
    rounds: usize,
    services: usize,
    results: &mut Results,
) -> anyhow::Result<()> {
    let etm = stage.through(covered, covered.cluster.targets())?;
    let lanes = vec![stage.direct(covered)?, etm];
    let plan = |work, repetitions| Plan { work, lanes: lanes.clone(), rounds, repetitions };
    let connects = stage.run(&plan(Work::Connects, 10_000))?;
    let exchanges = stage.run(&plan(Work::Exchanges, 3_000))?;
    let at = format!("at {services} Services");
    results.judge(
        format!("connect p50, etm / direct, {at}"),
        ratio(&connects, 1, 0, |sample| sample.p50),
        "ratio",
        Budget::AtMost(1.015),
    );
    results.tell(
        format!("connect p99, etm / direct, {at}"),
        ratio(&connects, 1, 0, |sample| sample.p99),
        "ratio",
    );
    results.tell(
        format!("connect p50 before an exchange, etm / direct, {at}"),
        ratio(&exchanges, 1, 0, |sample| sample.p50),
        "ratio",
    );
    results.tell(
        format!("connect-request-response-close, etm / direct, {at}"),
        ratio(&exchanges, 1, 0, |sample| sample.whole),
        "ratio",
    );
    Ok(())
}

fn against_filters(
    stage: &Stage,
    covered: &Covered,
    rounds: usize,
    services: usize,
    results: &mut Results,
) -> anyhow::Result<()> {
    let (nftables, iptables) = (stage.nftables(services)?, stage.iptables(services)?);
    let targets = covered.cluster.targets();
    let lanes = vec![
        stage.bare()?,
        stage.direct(covered)?,
        stage.through(covered, targets.clone())?,
        stage.filtered(&nftables, targets.clone())?,
        stage.filtered(&iptables, targets)?,
        stage.filtered(&iptables, covered.cluster.last())?,
    ];
    let plan = |work| Plan { work, lanes: lanes.clone(), rounds, repetitions: 1_000 };
    let connects = stage.run(&plan(Work::Connects))?;
    let exchanges = stage.run(&plan(Work::Exchanges))?;

    let at = format!("at {services} Services");
    let names = [
        "no etm",
        "etm, not a Service",
        "etm",
        "nftables",
        "iptables",
        "iptables, end of the list",
    ];
    let times: [(&str, Figure); 2] = [("p50", |sample| sample.p50), ("p99", |sample| sample.p99)];
    for (quantile, figure) in times {
        for (lane, name) in names.iter().enumerate() {
            let value = microseconds(&connects, lane, figure);
            results.tell(format!("connect {quantile}, {name}, {at}"), value, "us");
        }
    }
    for (lane, name) in names.iter().enumerate() {
        let rate = 1e6 / microseconds(&exchanges, lane, |sample| sample.whole);
        results.tell(format!("connect-request-response-close, {name}, {at}"), rate, "1/s");
    }
    results.judge(
        format!("connect p50, nftables / etm, {at}"),
        ratio(&connects, 3, 2, |sample| sample.p50),
        "ratio",
        Budget::AtLeast(1.25),
    );
    results.tell(
        format!("connect p50, iptables / etm, {at}"),
        ratio(&connects, 4, 2, |sample| sample.p50),
        "ratio",
    );
    // All of the list, as for whoever is no Service's as well: where it is judged.
    let slower = ratio(&connects, 5, 2, |sample| sample.p50);
    let what = format!("connect p50, iptables at the end of the list / etm, {at}");
    if services == MANY {
        results.judge(what, slower, "ratio", Budget::AtLeast(3.0));
    } else {
        results.tell(what, slower, "ratio");
    }
    results.tell(
        format!("connect p50, not a Service / no etm, {at}"),
        ratio(&connects, 1, 0, |sample| sample.p50),
        "ratio",
    );
    Ok(())
}
