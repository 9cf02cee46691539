//! Changes at a pace, and when each is in the kernel.

use std::{
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    thread::{self, sleep},
    time::{Duration, Instant},
};

use anyhow::anyhow;
use k8s_openapi::jiff::Timestamp;

use crate::{cluster::Change, writers};

/// A change that has not come by then, counted from the last one that has, never will.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// For the writers to connect.
const LEAD: Duration = Duration::from_millis(500);

/// What became of a change.
pub(crate) struct Sample {
    pub(crate) sent: Instant,
    pub(crate) answered: Instant,
    /// None where nothing can be seen but what the proxy itself tells.
    pub(crate) seen: Option<Instant>,
}

impl Sample {
    /// Milliseconds from the API server's answer until the kernel has it; none where the watch was
    /// quicker than the answer.
    pub(crate) fn after_answer(&self) -> Option<f64> {
        Some(self.seen?.saturating_duration_since(self.answered).as_secs_f64() * 1e3)
    }

    /// Milliseconds from before it is sent until the kernel has it.
    pub(crate) fn after_cause(&self) -> Option<f64> {
        Some(self.seen?.saturating_duration_since(self.sent).as_secs_f64() * 1e3)
    }

    /// Milliseconds until the API server's answer.
    pub(crate) fn answer(&self) -> f64 {
        self.answered.duration_since(self.sent).as_secs_f64() * 1e3
    }
}

/// Makes changes so far apart. Meanwhile `watch` sees when each is in the kernel; it is told how many
/// have begun.
pub(crate) fn make(
    kubeconfig: &Path,
    changes: &[Change],
    pace: Duration,
    watch: impl FnOnce(&AtomicUsize) -> anyhow::Result<Vec<Option<Instant>>>,
) -> anyhow::Result<Vec<Sample>> {
    let begun = Instant::now() + LEAD;
    let started = AtomicUsize::new(0);
    let (times, seen) = thread::scope(|scope| {
        let writers = scope.spawn(|| {
            writers::each(kubeconfig, changes.len(), |api, number| {
                sleep((begun + pace * number as u32).saturating_duration_since(Instant::now()));
                started.fetch_max(number + 1, Ordering::Relaxed);
                let (sent, change) = (Instant::now(), changes[number]);
                let patch = change.patch(&Timestamp::now().to_string());
                api.merge(&change.path(), &patch)?;
                Ok((sent, Instant::now()))
            })
        });
        let seen = watch(&started)?;
        let times = writers.join().map_err(|_| anyhow!("the writers panicked"))??;
        anyhow::Ok((times, seen))
    })?;
    let samples = times.into_iter().zip(seen);
    Ok(samples.map(|((sent, answered), seen)| Sample { sent, answered, seen }).collect())
}
