//! Times that objects tell, by the clock of the bench.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use etm_dataplane::monotonic;
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

/// A time of an object, of this machine's wall clock, as one of `CLOCK_MONOTONIC`.
pub(crate) fn moment(time: &Value) -> anyhow::Result<Duration> {
    let time: Timestamp = time.as_str().context("no time")?.parse()?;
    let told = Duration::try_from(time.duration_since(Timestamp::UNIX_EPOCH))?;
    let (now, wall) = (monotonic(), SystemTime::now().duration_since(UNIX_EPOCH)?);
    Ok(now + told - wall)
}

/// Milliseconds from one moment to another, which may be before it.
pub(crate) fn milliseconds(from: Duration, to: Duration) -> f64 {
    (to.as_secs_f64() - from.as_secs_f64()) * 1e3
}
