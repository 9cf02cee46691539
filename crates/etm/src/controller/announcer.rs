//! Who tells Events: what nodes and monitors take out, once for the whole cluster.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant as Clock},
};

use etm_api::ReportedEndpoint;
use etm_controller::{Cases, Outcome, Policies, Subject, Telling, Told, read_told, tell};
use etm_model::Problem;
use kube::Client;
use tokio::{task::JoinSet, time::Instant};
use tracing::debug;

use super::due::RETRY;

/// Between two tellings: a fault of the whole network is told of as fast as an API server that has
/// other things to do at that time can take it.
const PACE: Duration = Duration::from_millis(50);

/// Tells one thing after the other, in a task of its own: what the API server is slow to take holds up
/// no status.
pub(super) struct Announcer {
    client: Client,
    instance: String,
    cases: Cases,
    task: JoinSet<Done>,
    /// What is known of what was told before.
    standing: Standing,
    /// When the next request may be sent.
    resume: Instant,
    problem: Option<Problem>,
}

#[derive(Clone, Copy, PartialEq)]
enum Standing {
    /// Another process tells.
    Resting,
    /// This one does, once it has read what was told.
    Ignorant,
    /// This one does.
    Telling,
}

enum Done {
    Read(Result<BTreeMap<Subject, Told>, Problem>),
    Told(Telling, Outcome),
}

impl Announcer {
    pub(super) fn new(client: Client, instance: String) -> Self {
        Self {
            client,
            instance,
            cases: Cases::default(),
            task: JoinSet::new(),
            standing: Standing::Resting,
            resume: Instant::now(),
            problem: None,
        }
    }

    /// Takes in what nodes have reported.
    pub(super) fn update(&mut self, reports: Vec<(Arc<str>, Option<Vec<ReportedEndpoint>>)>) {
        let now = Clock::now();
        for (node, ejected) in reports {
            self.cases.report(&node, ejected, now);
        }
    }

    /// Takes in what monitors say, and which nodes do not work.
    pub(super) fn judged(&mut self, policies: &Policies, lost: BTreeSet<Arc<str>>) {
        let now = Clock::now();
        self.cases.monitored(policies.ejected(), now);
        self.cases.set_lost(lost, now);
    }

    /// Takes over from the one that told before, or lets go.
    pub(super) fn lead(&mut self, leads: bool) {
        self.task = JoinSet::new();
        self.cases.rest();
        self.problem = None;
        self.standing = if leads { Standing::Ignorant } else { Standing::Resting };
    }

    /// When there is something to do.
    pub(super) fn wake(&self) -> Option<Instant> {
        let idle = self.task.is_empty();
        let due = match self.standing {
            Standing::Telling => self.cases.wake().map(Instant::from_std),
            Standing::Ignorant => Some(self.resume),
            Standing::Resting => None,
        };
        due.filter(|_| idle).map(|due| due.max(self.resume))
    }

    /// Begins with what is due, if this process leads until then.
    pub(super) fn announce(&mut self, until: Option<Clock>) {
        let Some(until) = until else { return };
        if !self.task.is_empty() || self.resume > Instant::now() {
            return;
        }
        let client = self.client.clone();
        match self.standing {
            Standing::Ignorant => {
                self.task.spawn(async move { Done::Read(read_told(&client).await) });
            }
            Standing::Telling => {
                let Some(telling) = self.cases.next(Clock::now()) else { return };
                let instance = self.instance.clone();
                self.task.spawn(async move {
                    let outcome = tell(&client, &telling, &instance, until).await;
                    Done::Told(telling, outcome)
                });
            }
            Standing::Resting => {}
        }
    }

    /// Waits for what was begun, and takes in what became of it. Cancel safe.
    pub(super) async fn done(&mut self) {
        match self.task.join_next().await {
            Some(Ok(done)) => self.take(done),
            Some(Err(_)) => {}
            None => std::future::pending().await,
        }
    }

    fn take(&mut self, done: Done) {
        let now = Instant::now();
        self.resume = now + PACE;
        self.problem = match done {
            Done::Read(Ok(told)) => {
                self.standing = Standing::Telling;
                self.cases.lead(told, Clock::now());
                None
            }
            Done::Read(Err(problem)) => Some(problem),
            Done::Told(telling, outcome) => {
                debug!(?telling, ?outcome, "Events");
                if !matches!(outcome, Outcome::Failed(_)) {
                    self.cases.note(&telling, Clock::now());
                }
                match outcome {
                    Outcome::Written | Outcome::Overtaken => None,
                    Outcome::Refused(problem) | Outcome::Failed(problem) => Some(problem),
                }
            }
        };
        if self.problem.is_some() {
            self.resume = now + RETRY;
        }
    }

    /// Why something is not told.
    pub(super) fn problem(&self) -> Option<Problem> {
        self.problem.clone()
    }
}
