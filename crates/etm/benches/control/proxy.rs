//! What is measured of everyone who follows the cluster, by the same means.

use std::{
    path::Path,
    sync::atomic::AtomicUsize,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::ensure;

use crate::{
    Size,
    change::{self, PATIENCE, Sample},
    cluster::{Change, Cluster},
    cpu, memory,
    metrics::{Histogram, Metrics},
    results::Results,
    statistics::{mean, median, quantile},
};

/// Changes in quick succession come this far apart: 100 a second.
const PACE: Duration = Duration::from_millis(10);

/// Single ones come this far apart: kube-proxy waits up to a second after its last write.
const PAUSE: Duration = Duration::from_secs(3);

/// Asking for metrics is work for whoever is asked.
const LOOK: Duration = Duration::from_millis(500);

/// Someone who follows the cluster and writes to the kernel.
pub(crate) trait Proxy {
    fn name(&self) -> &str;

    fn process(&self) -> u32;

    fn metrics(&self) -> anyhow::Result<Metrics>;

    /// Its histogram of the time from the cause of a change, as the object names it, until the kernel
    /// has it.
    fn programming(&self) -> &'static str;

    /// Sees when each change is in the kernel, of which so many have begun.
    fn watch(
        &self,
        changes: &[Change],
        started: &AtomicUsize,
    ) -> anyhow::Result<Vec<Option<Instant>>>;
}

/// What is compared.
pub(crate) struct Outcome {
    pub(crate) name: String,
    /// Milliseconds from the cause of a change to the kernel, on average.
    pub(crate) programming: f64,
    /// The same of single changes.
    pub(crate) single: f64,
    /// MiB.
    pub(crate) peak: f64,
    pub(crate) memory: f64,
    /// Seconds of processor time for 1,000 changes in quick succession.
    pub(crate) cpu: f64,
}

/// Makes changes that a proxy follows, from when it has all that there is.
pub(crate) fn measure(
    proxy: &dyn Proxy,
    kubeconfig: &Path,
    cluster: &mut Cluster,
    size: Size,
    results: &mut Results,
) -> anyhow::Result<Outcome> {
    let name = proxy.name();
    let before = cpu::seconds(proxy.process())?;
    let (samples, quick) = changes(proxy, kubeconfig, &cluster.changes(size.changes), PACE)?;
    let spent = cpu::seconds(proxy.process())? - before;
    let programming = quick.mean() * 1e3;
    results.tell(format!("{name}: cause to kernel, mean, 100/s"), programming, "ms");
    tell_seen(name, &samples, "100/s", results);
    sleep(PAUSE);
    let (samples, single) = changes(proxy, kubeconfig, &cluster.changes(size.single), PAUSE)?;
    let single = single.mean() * 1e3;
    results.tell(format!("{name}: cause to kernel, mean, single changes"), single, "ms");
    tell_seen(name, &samples, "single changes", results);
    let cpu = spent / size.changes as f64 * 1e3;
    results.tell(format!("{name}: CPU time of 1000 changes"), cpu, "s");
    let (peak, memory) = (memory::peak(proxy.process())?, memory::now(proxy.process())?);
    results.tell(format!("{name}: memory, after the changes"), memory, "MiB");
    Ok(Outcome { name: name.to_owned(), programming, single, peak, memory, cpu })
}

/// Makes changes; what was seen of them, and what the proxy tells of them.
fn changes(
    proxy: &dyn Proxy,
    kubeconfig: &Path,
    changes: &[Change],
    pace: Duration,
) -> anyhow::Result<(Vec<Sample>, Histogram)> {
    let told = || proxy.metrics()?.histogram(proxy.programming());
    let before = told()?;
    let watch = |started: &AtomicUsize| proxy.watch(changes, started);
    let samples = change::make(kubeconfig, changes, pace, watch)?;
    let begun = Instant::now();
    loop {
        let since = told()?.since(&before);
        if since.count >= changes.len() as f64 {
            return Ok((samples, since));
        }
        let name = proxy.name();
        ensure!(begun.elapsed() < PATIENCE, "{name} tells of {} changes only", since.count);
        sleep(LOOK);
    }
}

fn tell_seen(name: &str, samples: &[Sample], pace: &str, results: &mut Results) {
    let answer = median(samples.iter().map(Sample::answer));
    results.tell(format!("{name}: the API server's answer, p50, {pace}"), answer, "ms");
    let whole: Vec<f64> = samples.iter().filter_map(Sample::after_cause).collect();
    let seen: Vec<f64> = samples.iter().filter_map(Sample::after_answer).collect();
    if seen.is_empty() {
        return;
    }
    results.tell(format!("{name}: cause to kernel, mean as seen, {pace}"), mean(&whole), "ms");
    for (word, share) in [("p50", 0.5), ("p99", 0.99), ("longest", 1.0)] {
        let value = quantile(seen.iter().copied(), share);
        results.tell(format!("{name}: answer to kernel, {word}, {pace}"), value, "ms");
    }
}
