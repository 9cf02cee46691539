//! Connections one after the other, all the time, while the world around them changes.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Instant,
};

use anyhow::{Context as _, anyhow};
use etm_testkit::{Call, Session};

/// One connection with its request and answer.
pub(crate) struct Sample {
    pub(crate) started: Instant,
    pub(crate) ended: Instant,
    pub(crate) call: Call,
}

/// A caller that connects again and again until it is finished.
pub(crate) struct Stream {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<anyhow::Result<Vec<Sample>>>>,
}

impl Stream {
    /// Begins to call.
    pub(crate) fn start(mut session: Session) -> anyhow::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let calling = move || {
            let mut samples = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                let started = Instant::now();
                let call = session.call()?;
                samples.push(Sample { started, ended: Instant::now(), call });
            }
            Ok(samples)
        };
        let thread = thread::Builder::new().name("stream".to_owned()).spawn(calling);
        Ok(Self { stop, thread: Some(thread.context("start a thread")?) })
    }

    /// Ends it and gives all that it saw.
    pub(crate) fn finish(mut self) -> anyhow::Result<Vec<Sample>> {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().context("it runs until it is finished")?;
        thread.join().map_err(|_| anyhow!("the calling thread panicked"))?
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // A scene that fails leaves it running, with a process at its hands.
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Answered calls by Pod.
pub(crate) fn by_pod<'a>(calls: impl IntoIterator<Item = &'a Call>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for pod in calls.into_iter().filter_map(Call::pod) {
        *counts.entry(pod.to_owned()).or_default() += 1;
    }
    counts
}

/// Those that began within a span of time.
pub(crate) fn between(samples: &[Sample], from: Instant, to: Instant) -> Vec<&Call> {
    let within = samples.iter().filter(|s| s.started >= from && s.started < to);
    within.map(|sample| &sample.call).collect()
}
