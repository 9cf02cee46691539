//! A Pod refuses behind kube-proxy's nftables rules, and is taken out by its readiness.
//!
//! The rules change in the moment in which the last probe fails: what kubelet, API server and
//! kube-proxy take for it is left out.

use std::{
    net::{IpAddr, SocketAddr},
    thread::sleep,
    time::Duration,
};

use etm_dataplane::monotonic;

use super::{RATE, plan};
use crate::{
    faults::Fault,
    filtered::Filtered,
    readiness,
    results::Results,
    servers::TARGET,
    stage::{Stage, stop},
};

/// From the fault to the first probe that fails: half of the period, as it is in the middle.
const PHASE: Duration = Duration::from_secs(5);

/// How long callers call before the fault, and after the return.
const WARM: Duration = Duration::from_secs(1);

pub(super) fn measure(stage: &mut Stage, results: &mut Results) -> anyhow::Result<()> {
    let endpoints = stage.addresses();
    let filtered = Filtered::start(&stage.node, &endpoints)?;
    let callings = filtered.call(&plan(stage))?;
    sleep(WARM);
    let fault = monotonic();
    Fault::Refuses.begin(&mut stage.servers[..1])?;
    let pod = SocketAddr::new(IpAddr::V4(endpoints[0]), TARGET);
    let next = readiness::until(&stage.node, pod, fault + PHASE, false);
    filtered.lead_to(&endpoints[1..])?;
    let out = monotonic();
    Fault::Refuses.end(&mut stage.servers[..1])?;
    readiness::until(&stage.node, pod, next, true);
    filtered.lead_to(&endpoints)?;
    let back = monotonic();
    sleep(WARM);
    let report = stop(callings)?;

    let name = "refusing Pod, nftables and readiness";
    results.tell(format!("{name}: connections, {RATE}/s"), report.connections as f64, "");
    let failed = report.failures.len() as f64;
    results.tell(format!("{name}: failed connections"), failed, "");
    results.tell(format!("{name}: fault to removal"), (out - fault).as_secs_f64(), "s");
    results.tell(format!("{name}: end of the fault to return"), (back - out).as_secs_f64(), "s");
    Ok(())
}
