//! Probes what is due, and tells what came of it.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
    time::Duration,
};

use etm_model::{BackendKey, Probe, ServicePortName};
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{Schedule, Target, ask};
use crate::signal::{ProbeFailure, Signal};

/// How many probes are under way at once, unless another number is asked for.
pub const LIMIT: usize = 64;

/// A probe's result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probed {
    /// Of whom.
    pub backend: BackendKey,
    /// What was asked.
    pub probe: Arc<Probe>,
    /// What came of it.
    pub result: Result<(), ProbeFailure>,
}

impl From<Probed> for Signal {
    fn from(Probed { probe, result, .. }: Probed) -> Self {
        Self::Probed(probe, result)
    }
}

/// Probes targets at their times until it is dropped.
#[derive(Debug)]
pub struct Prober {
    commands: mpsc::UnboundedSender<Command>,
}

/// What a Service port asks for.
type Command = (Arc<ServicePortName>, BTreeSet<Target>);

/// What the task has.
struct Probing {
    start: Instant,
    schedule: Schedule,
    permits: Arc<Semaphore>,
    results: mpsc::Sender<Probed>,
    /// One that has not answered when it is due again, since there are too many, is left out.
    under_way: HashSet<Target>,
    tasks: JoinSet<Target>,
}

impl Prober {
    /// Starts to probe, as a task of the present runtime: at most so many targets at once, at
    /// times that the node's name decides. Results wait in the channel; where nobody takes them,
    /// probing waits as well.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn start(node: &str, limit: usize) -> (Self, mpsc::Receiver<Probed>) {
        let (commands, asked) = mpsc::unbounded_channel();
        let (results, answers) = mpsc::channel(limit.max(1));
        let probing = Probing {
            start: Instant::now(),
            schedule: Schedule::new(node),
            permits: Arc::new(Semaphore::new(limit.max(1))),
            results,
            under_way: HashSet::new(),
            tasks: JoinSet::new(),
        };
        tokio::spawn(probing.run(asked));
        (Self { commands }, answers)
    }

    /// What a Service port asks for from now on; nothing where it is gone.
    pub fn set(&self, service: &Arc<ServicePortName>, targets: impl IntoIterator<Item = Target>) {
        // The task ends only with this handle, or with the runtime.
        let _ = self.commands.send((Arc::clone(service), targets.into_iter().collect()));
    }
}

impl Probing {
    async fn run(mut self, mut asked: mpsc::UnboundedReceiver<Command>) {
        loop {
            let next = self.schedule.next().map(|next| self.start + next);
            let due = async {
                match next {
                    Some(next) => sleep_until(next).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                command = asked.recv() => {
                    let Some((service, targets)) = command else { return };
                    self.schedule.set(self.now(), &service, targets);
                }
                Some(done) = self.tasks.join_next() => {
                    if let Ok(target) = done {
                        self.under_way.remove(&target);
                    }
                }
                () = due => {
                    while let Some(target) = self.schedule.pop(self.now()) {
                        self.probe(target);
                    }
                }
            }
        }
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn probe(&mut self, target: Target) {
        if !self.under_way.insert(target.clone()) {
            return;
        }
        let (permits, results) = (Arc::clone(&self.permits), self.results.clone());
        self.tasks.spawn(async move {
            if let Ok(_permit) = permits.acquire_owned().await {
                let result = ask(&target).await;
                let (backend, probe) = (target.backend, Arc::clone(&target.probe));
                // Nobody listens any more where the tracker is gone.
                let _ = results.send(Probed { backend, probe, result }).await;
            }
            target
        });
    }
}
