//! Nothing is wrong with any Pod, but the network loses packets and callers give up.
//!
//! As many connections as in an hour at ten a second, in less time: the failure share is of 30 s
//! and so of a hundred times as many connections as it would have then, and rows of failures, which
//! know no time, come as often.

use std::time::Duration;

use etm_dataplane::monotonic;
use serde_json::Value;

use super::plan;
use crate::{
    caller::{Calls, Plan},
    covered::Covered,
    faults,
    results::{Budget, Results},
    stage::{CALLING, Stage, wait},
    watch::Watch,
};

/// New connections a second, of all callers together.
const RATE: f64 = 1_000.0;

/// Of a hundred connections, how many are given up.
const ABORTED: u64 = 10;

/// Longer than a SYN, a byte and its answer take that are each lost once.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the first ejection lasts by default.
const EJECTION: Duration = Duration::from_secs(30);

pub(super) fn measure(
    stage: &Stage,
    connections: u64,
    results: &mut Results,
) -> anyhow::Result<()> {
    let covered = Covered::start(stage, &Value::Null)?;
    let mut watch = Watch::begin(&covered, &stage.addresses(), EJECTION)?;
    let plan = Plan {
        calls: Calls::Steadily {
            rate: RATE / CALLING as f64,
            most: Some(connections / CALLING as u64),
        },
        patience: PATIENCE,
        aborted: ABORTED,
        ..plan(stage)
    };
    faults::lose_some(&stage.servers)?;
    let begin = monotonic();
    let callings = covered.call(stage, &plan)?;
    watch.until(begin + Duration::from_secs_f64(connections as f64 / RATE + 2.0), |_| false);
    let report = wait(callings)?;
    let took = monotonic() - begin;
    faults::lose_none(&stage.servers)?;
    watch.until(monotonic() + Duration::from_millis(10), |_| false);

    results.tell("soak: connections", report.connections as f64, "");
    results.tell("soak: time, instead of an hour at 10/s", took.as_secs_f64(), "s");
    results.tell("soak: given up by their callers", report.aborted as f64, "");
    results.tell("soak: failed", report.failures.len() as f64, "");
    let row = watch.fates.iter().map(|fate| fate.row).max().unwrap_or_default();
    results.tell("soak: most failures in a row that were seen", row.into(), "");
    let wrongly = watch.fates.iter().filter(|fate| fate.ejected.is_some()).count();
    results.judge("soak: wrongly ejected", wrongly as f64, "Pods", Budget::AtMost(0.0));
    let shunned = watch.fates.iter().filter(|fate| fate.shunned).count();
    results.judge("soak: kept from a caller", shunned as f64, "Pods", Budget::AtMost(0.0));
    Ok(())
}
