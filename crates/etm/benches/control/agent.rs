//! The agent: its start beside the lists alone, its changes by the maps.

use std::{
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::ensure;
use etm_dataplane::View;
use etm_model::{FrontendKey, Listener, Protocol};
use etm_testkit::{Agent, BpfDir, Cgroup, ControlPlane, Place, binary, page};
use tempfile::TempDir;

use crate::{
    Size,
    change::PATIENCE,
    cluster::{self, Change, Cluster, ENDPOINTS},
    list, memory,
    metrics::Metrics,
    proxy::{self, Outcome, Proxy},
    results::{Budget, Results},
    statistics::{mean, median},
};

pub(crate) const NAME: &str = "etm";

/// Between two looks at the maps: often enough to tell, seldom enough to leave the processor to
/// those who are measured.
const LOOK: Duration = Duration::from_micros(100);

struct Follower {
    agent: Agent,
    admin: SocketAddr,
    pin: PathBuf,
    /// Seconds from exec until it has everything in the maps.
    cold: f64,
    _cgroup: Cgroup,
    _pins: BpfDir,
    _state: TempDir,
}

pub(crate) fn measure(
    control_plane: &ControlPlane,
    cluster: &mut Cluster,
    size: Size,
    results: &mut Results,
) -> anyhow::Result<Outcome> {
    let words = cluster.words();
    let (mut lists, mut cold, mut beyond, mut peaks) = (vec![], vec![], vec![], vec![]);
    let mut last = None;
    for _ in 0..size.starts {
        drop(last.take());
        let list = list::get(control_plane.kubeconfig())?;
        let follower = Follower::start(control_plane)?;
        follower.check(cluster)?;
        cold.push(follower.cold);
        beyond.push(follower.cold - list.seconds);
        peaks.push(memory::peak(follower.agent.id())?);
        lists.push(list);
        last = Some(follower);
    }
    let Some(follower) = last else { anyhow::bail!("no start") };
    let list_time = median(lists.iter().map(|list| list.seconds));
    results.tell(format!("the lists alone, {words}"), list_time, "s");
    let bytes = mean(&lists.iter().map(|list| list.bytes).collect::<Vec<_>>());
    results.tell(format!("bytes of the lists, {words}"), bytes / 1e6, "MB");
    results.tell(format!("{NAME}: cold start, from exec to ready"), median(cold), "s");
    let what = format!("{NAME}: cold start beyond the lists, {words}");
    results.judge(what, median(beyond), "s", Budget::AtMost(2.0));
    results.tell(format!("{NAME}: memory, peak of a cold start"), median(peaks), "MiB");

    let before = follower.metrics()?;
    let outcome = proxy::measure(&follower, control_plane.kubeconfig(), cluster, size, results)?;
    let after = follower.metrics()?;
    const CHANGE: &str = "etm_change_duration_seconds";
    let change = after.histogram(CHANGE)?.since(&before.histogram(CHANGE)?);
    results.tell(format!("{NAME}: event to map, mean"), change.mean() * 1e3, "ms");
    for (word, share) in [("p50", 0.5), ("p99", 0.99)] {
        let what = format!("{NAME}: event to map, {word}, no more than");
        let (value, budget) = (change.quantile(share) * 1e3, Budget::AtMost(10.0));
        results.judge(what, value, "ms", budget);
    }
    let received = |metrics: &Metrics| metrics.value("etm_watch_received_bytes_total");
    let bytes = (received(&after) - received(&before)) / change.count;
    results.tell(format!("{NAME}: received for each change"), bytes, "bytes");
    let what = format!("{NAME}: memory, peak, {words}");
    results.judge(what, outcome.peak, "MiB", Budget::AtMost(150.0));
    Ok(outcome)
}

impl Follower {
    fn start(control_plane: &ControlPlane) -> anyhow::Result<Self> {
        let (cgroup, pins, state) = (Cgroup::new()?, BpfDir::new()?, TempDir::new()?);
        let (admin, pin) = (free()?, pins.path().join("etm"));
        let described = Agent::of(binary("etm")?)
            .arg("--kubernetes")
            .arg("--kubeconfig")
            .arg(control_plane.kubeconfig())
            .arg("--state")
            .arg(state.path())
            .arg("--admin")
            .arg(admin.to_string())
            .node("bench")
            .cgroup(&cgroup)
            .pin(&pin);
        let started = Instant::now();
        let agent = described.start()?;
        // Where the lists take long, it says before they are there that it works.
        while page(&Place::host(), admin, "/readyz")?.status != 200 {
            ensure!(started.elapsed() < PATIENCE, "never ready: {}", agent.stderr());
            sleep(Duration::from_millis(5));
        }
        let cold = started.elapsed().as_secs_f64();
        Ok(Self { agent, admin, pin, cold, _cgroup: cgroup, _pins: pins, _state: state })
    }

    /// That everything is in the maps.
    fn check(&self, cluster: &Cluster) -> anyhow::Result<()> {
        let view = View::open(&self.pin)?;
        let members = |number| view.frontend(&key(number)).map(|frontend| frontend.members);
        let whole = (0..cluster.services()).filter(|n| members(*n) == Some(ENDPOINTS as u32));
        let whole = whole.count();
        let services = cluster.services();
        ensure!(whole == services, "{whole} of {services} Services: {}", self.agent.stderr());
        Ok(())
    }
}

impl Proxy for Follower {
    fn name(&self) -> &str {
        NAME
    }

    fn process(&self) -> u32 {
        self.agent.id()
    }

    fn metrics(&self) -> anyhow::Result<Metrics> {
        Ok(Metrics::new(page(&Place::host(), self.admin, "/metrics")?.text))
    }

    fn programming(&self) -> &'static str {
        "etm_network_programming_duration_seconds"
    }

    fn watch(
        &self,
        changes: &[Change],
        started: &AtomicUsize,
    ) -> anyhow::Result<Vec<Option<Instant>>> {
        let view = View::open(&self.pin)?;
        let mut seen = vec![None; changes.len()];
        let (mut known, mut open, mut last) = (0, Vec::new(), Instant::now());
        while known < changes.len() || !open.is_empty() {
            let by_now = started.load(Ordering::Relaxed);
            open.extend(known..by_now);
            known = by_now;
            open.retain(|number| {
                let Change { service, members } = changes[*number];
                let now = view.frontend(&key(service)).map(|frontend| frontend.members as usize);
                if now == Some(members) {
                    last = Instant::now();
                    seen[*number] = Some(last);
                }
                now != Some(members)
            });
            ensure!(last.elapsed() < PATIENCE, "changes {open:?} never came");
            sleep(LOOK);
        }
        Ok(seen)
    }
}

fn key(service: usize) -> FrontendKey {
    let address = cluster::address(service);
    FrontendKey { ip: address.ip(), listener: Listener::Port(address.port(), Protocol::Tcp) }
}

/// An address that nobody listens on.
fn free() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?)
}
