//! 10,000 Services with 10 endpoints each: cold start, changes, memory.

use std::{
    net::SocketAddr,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::bail;
use etm_dataplane::View;
use etm_model::{FrontendKey, Listener, Protocol};
use etm_testkit::{Agent, BpfDir, Cgroup, Manifests};

use crate::{
    cluster::{Cluster, Service},
    memory,
    results::{Budget, Results},
    statistics::quantile,
};

const SERVICES: usize = 10_000;
const CHANGES: usize = 1_000;

/// Changes come this far apart: 100 a second.
const PACE: Duration = Duration::from_millis(10);

/// A change that has not come by then never will.
const PATIENCE: Duration = Duration::from_secs(10);

const MEBIBYTE: f64 = 1_048_576.0;

pub(super) fn measure(results: &mut Results) -> anyhow::Result<()> {
    let cluster = Cluster::large(SERVICES);
    let (cgroup, pins, manifests) = (Cgroup::new()?, BpfDir::new()?, Manifests::new()?);
    declare(&cluster, &manifests)?;
    let pin = pins.path().join("etm");
    let described = Agent::of_folder(&manifests, &cgroup, &pins)?;
    let started = Instant::now();
    let agent = described.start()?;
    let cold = started.elapsed().as_secs_f64();
    let view = View::open(&pin)?;
    let frontends = view.contents()?.frontends.len();
    if frontends != SERVICES {
        bail!("{frontends} frontends instead of {SERVICES}: {}", agent.stderr());
    }
    let at = "10000 Services, 100000 endpoints";
    let what = format!("cold start, from exec to ready, {at}");
    results.judge(what, cold, "s", Budget::AtMost(2.0));

    let times = changes(&cluster, &manifests, &view)?;
    let quantile = |share: f64| quantile(times.iter().copied(), share);
    results.tell(format!("file written to map, p50, 100/s, {at}"), quantile(0.5), "ms");
    let what = format!("file written to map, p99, 100/s, {at}");
    results.judge(what, quantile(0.99), "ms", Budget::AtMost(10.0));
    let what = format!("file written to map, longest of {CHANGES}, {at}");
    results.judge(what, quantile(1.0), "ms", Budget::AtMost(20.0));

    let peak = memory::peak(agent.id())?;
    let what = format!("agent memory, peak, {at}");
    results.judge(what, peak, "MiB", Budget::AtMost(150.0));
    let now = memory::now(agent.id())?;
    results.tell(format!("agent memory, {at}"), now, "MiB");
    let maps: u64 = view.map_usage()?.iter().map(|map| map.bytes).sum();
    let what = "kernel maps at their default sizes";
    results.judge(what, maps as f64 / MEBIBYTE, "MiB", Budget::AtMost(64.0));

    drop(agent);
    let started = Instant::now();
    let agent = described.start()?;
    let warm = started.elapsed().as_secs_f64();
    results.tell(format!("restart over full maps, from exec to ready, {at}"), warm, "s");
    drop(agent);
    Ok(())
}

/// A file for each EndpointSlice, since that is what changes.
fn declare(cluster: &Cluster, manifests: &Manifests) -> anyhow::Result<()> {
    for (number, services) in cluster.services.chunks(100).enumerate() {
        let objects: Vec<_> = services.iter().map(Service::object).collect();
        manifests.apply(&format!("services-{number}.yaml"), &objects)?;
    }
    for service in &cluster.services {
        manifests.apply(&slice_file(service), &[service.slice(service.endpoints.len())])?;
    }
    Ok(())
}

fn slice_file(service: &Service) -> String {
    format!("{}-slice.yaml", service.name)
}

/// Milliseconds from before a file is written until the map shows it, over Services everywhere.
fn changes(cluster: &Cluster, manifests: &Manifests, view: &View) -> anyhow::Result<Vec<f64>> {
    let begun = Instant::now();
    let mut times = Vec::new();
    for number in 0..CHANGES {
        let service = &cluster.services[number.wrapping_mul(7_919) % cluster.services.len()];
        let key = key(service.address());
        let members = service.endpoints.len() - 1;
        sleep((begun + PACE * number as u32).saturating_duration_since(Instant::now()));
        let started = Instant::now();
        manifests.apply(&slice_file(service), &[service.slice(members)])?;
        while view.frontend(&key).is_none_or(|frontend| frontend.members != members as u32) {
            if started.elapsed() > PATIENCE {
                bail!("{} never changed", service.name);
            }
            // The agent may need this very processor.
            std::thread::yield_now();
        }
        times.push(started.elapsed().as_secs_f64() * 1e3);
    }
    Ok(times)
}

fn key(address: SocketAddr) -> FrontendKey {
    FrontendKey { ip: address.ip(), listener: Listener::Port(address.port(), Protocol::Tcp) }
}
