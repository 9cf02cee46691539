//! kube-proxy: its start and its changes by its own metrics and, where the kernel tells of its
//! rules, by these.

use std::{
    sync::atomic::AtomicUsize,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::ensure;
use etm_testkit::{ControlPlane, KubeProxy, ProxyMode};

use crate::{
    Size,
    cluster::{Change, Cluster, PODS},
    metrics::Metrics,
    proxy::{self, Outcome, Proxy},
    results::{Budget, Results},
    rules::Rules,
};

const SYNC: &str = "kubeproxy_sync_proxy_rules_duration_seconds";

/// Those of its writes that were of all rules, not of the changed ones.
const WHOLE: &str = "kubeproxy_sync_full_proxy_rules_duration_seconds_count";

/// Writes that the kernel refused.
const FAILURES: [&str; 2] = [
    "kubeproxy_sync_proxy_rules_nftables_sync_failures_total",
    "kubeproxy_sync_proxy_rules_iptables_restore_failures_total",
];

/// For its first rules; with iptables they take it minutes.
const START: Duration = Duration::from_secs(600);

/// Between two looks at its metrics.
const LOOK: Duration = Duration::from_millis(200);

/// What it puts off after its first rules is over by then.
const SETTLED: Duration = Duration::from_secs(5);

struct Follower {
    name: String,
    kube_proxy: KubeProxy,
    mode: ProxyMode,
}

pub(crate) fn measure(
    control_plane: &ControlPlane,
    mode: ProxyMode,
    cluster: &mut Cluster,
    size: Size,
    results: &mut Results,
) -> anyhow::Result<Outcome> {
    let name = format!("kube-proxy {}", mode.name());
    let started = Instant::now();
    let kube_proxy = KubeProxy::start(control_plane, &format!("node-{}", mode.name()), mode, PODS)?;
    let follower = Follower { name, kube_proxy, mode };
    // Before its first rules are written it does not count, and at first it does not even answer.
    while !follower.metrics().is_ok_and(|metrics| metrics.value(&format!("{SYNC}_count")) > 0.0) {
        let said = || follower.kube_proxy.stderr();
        ensure!(started.elapsed() < START, "{} never wrote rules: {}", follower.name, said());
        sleep(LOOK);
    }
    let what = format!("{}: cold start, from exec to its first rules", follower.name);
    results.tell(what, started.elapsed().as_secs_f64(), "s");
    sleep(SETTLED);
    let before = follower.metrics()?;
    let outcome = proxy::measure(&follower, control_plane.kubeconfig(), cluster, size, results)?;
    let after = follower.metrics()?;
    let syncs = after.histogram(SYNC)?.since(&before.histogram(SYNC)?);
    let what = format!("{}: one write of rules, mean", follower.name);
    results.tell(what, syncs.mean() * 1e3, "ms");
    results.tell(format!("{}: writes of rules", follower.name), syncs.count, "times");
    // Where there are any, the figures are those of something that is broken.
    let failed = FAILURES.iter().fold(0.0, |sum, name| sum + after.value(name));
    results.judge(
        format!("{}: writes that failed", follower.name),
        failed,
        "times",
        Budget::AtMost(0.0),
    );
    let whole = after.value(WHOLE) - before.value(WHOLE);
    results.tell(format!("{}: writes of all rules", follower.name), whole, "times");
    results.tell(format!("{}: memory, peak", follower.name), outcome.peak, "MiB");
    Ok(outcome)
}

impl Proxy for Follower {
    fn name(&self) -> &str {
        &self.name
    }

    fn process(&self) -> u32 {
        self.kube_proxy.id()
    }

    fn metrics(&self) -> anyhow::Result<Metrics> {
        Ok(Metrics::new(self.kube_proxy.metrics()?.text))
    }

    fn programming(&self) -> &'static str {
        "kubeproxy_network_programming_duration_seconds"
    }

    fn watch(
        &self,
        changes: &[Change],
        started: &AtomicUsize,
    ) -> anyhow::Result<Vec<Option<Instant>>> {
        match self.mode {
            ProxyMode::Nftables => {
                let rules = Rules::listen(&self.kube_proxy.node().place())?;
                rules.watch(changes, started)
            }
            // The older iptables replaces a whole table, of which the kernel tells nobody.
            ProxyMode::Iptables => Ok(vec![None; changes.len()]),
        }
    }
}
