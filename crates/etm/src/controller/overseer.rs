//! Who oversees releases: looks at those that are under way when it is time.

use std::time::Instant as Clock;

use etm_controller::{
    Agents, AgentsAt, Gathered, Outcome, ReleaseAsk, ReleaseWrite, Releases, Sources,
};
use etm_monitor::Prometheus;
use etm_outcomes::Identity;
use etm_source::kubernetes::{ObservedRelease, ReleaseUpdate};
use kube::Client;
use tokio::{task::JoinSet, time::Instant};

use crate::cli::OutcomesArgs;

/// Releases that are looked at at a time.
const AT_ONCE: usize = 8;

pub(super) struct Overseer {
    sources: Sources,
    pub(super) releases: Releases,
    looks: JoinSet<(ReleaseAsk, Gathered)>,
}

impl Overseer {
    pub(super) fn new(
        client: Client,
        prometheus: Option<Prometheus>,
        namespace: &str,
        arguments: &OutcomesArgs,
    ) -> Self {
        let OutcomesArgs { outcomes_tls, outcomes_port, agents } = arguments;
        let agents = outcomes_tls.as_deref().map(|folder| Agents {
            identity: Identity::new(folder),
            at: if agents.is_empty() {
                AgentsAt::Pods(namespace.to_owned(), *outcomes_port)
            } else {
                AgentsAt::Addresses(agents.clone())
            },
        });
        let sources = Sources { client, prometheus, agents };
        Self { sources, releases: Releases::default(), looks: JoinSet::new() }
    }

    /// Takes in what became of releases.
    pub(super) fn update(&mut self, update: ReleaseUpdate) {
        self.releases.update(update, Clock::now());
    }

    /// Takes over from the one that looked before; or looks no more.
    pub(super) fn take_over(&mut self, leads: bool) {
        self.looks = JoinSet::new();
        if leads {
            self.releases.take_over(Clock::now());
        }
    }

    /// Looks at those for which it is time.
    pub(super) fn look(&mut self) {
        while self.looks.len() < AT_ONCE
            && let Some(ask) = self.releases.ask(Clock::now())
        {
            let sources = self.sources.clone();
            self.looks.spawn(async move {
                let gathered = sources.gather(&ask).await;
                (ask, gathered)
            });
        }
    }

    /// Waits for what is found, and takes it in. Cancel safe.
    pub(super) async fn looked(&mut self) {
        match self.looks.join_next().await {
            Some(Ok((ask, gathered))) => self.releases.gathered(&ask, &gathered, Clock::now()),
            Some(Err(_)) => {}
            None => std::future::pending().await,
        }
    }

    /// When it is time to look.
    pub(super) fn wake(&self) -> Option<Instant> {
        self.releases.wake().filter(|_| self.looks.len() < AT_ONCE).map(Instant::from_std)
    }

    /// Takes note of what became of a write.
    pub(super) fn wrote(
        &mut self,
        write: &ReleaseWrite,
        outcome: &Outcome,
        after: Option<ObservedRelease>,
    ) {
        self.releases.note(write, outcome, after, Clock::now());
    }
}
