//! Requests over one unconnected UDP socket, as a resolver sends them.

use super::{microseconds, ratio};
use crate::{
    client::{Plan, Work},
    results::Results,
    stage::Stage,
};

pub(super) fn measure(stage: &Stage, rounds: usize, results: &mut Results) -> anyhow::Result<()> {
    let covered = stage.covered(1)?;
    let nftables = stage.nftables(1)?;
    let target = covered.cluster.target("datagrams");
    let lanes = vec![
        stage.direct(&covered)?,
        stage.through(&covered, target.clone())?,
        stage.filtered(&nftables, target)?,
    ];
    let rounds = stage.run(&Plan { work: Work::Datagrams, lanes, rounds, repetitions: 5_000 })?;
    for (lane, name) in ["direct", "etm", "nftables"].into_iter().enumerate() {
        let rate = 1e6 / microseconds(&rounds, lane, |sample| sample.whole);
        results.tell(format!("UDP requests, unconnected, {name}"), rate, "1/s");
    }
    for (lane, name) in [(1, "etm"), (2, "nftables")] {
        let rate = ratio(&rounds, 0, lane, |sample| sample.whole);
        results.tell(format!("UDP request rate, {name} / direct"), rate, "ratio");
    }
    Ok(())
}
