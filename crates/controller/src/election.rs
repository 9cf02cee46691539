//! The Lease, asked for and held.

use std::time::{Duration, Instant};

use etm_model::Problem;
use k8s_openapi::{api::coordination::v1::Lease, jiff::Timestamp};
use kube::{Api, Client, api::PostParams};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tracing::debug;

use crate::{
    lease::{Candidate, Step},
    problem,
};

/// Between two looks at the Lease, or renewals of it: five fit into the time for which it is held.
const PERIOD: Duration = Duration::from_secs(2);
/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(4);

/// Strives for a Lease for as long as this is there, in a task of its own, so that nothing else that
/// is under way holds up a renewal.
#[derive(Debug)]
pub struct Election {
    task: JoinHandle<()>,
    leadership: Leadership,
    end: watch::Sender<bool>,
}

/// Whether this process is the one that writes.
#[derive(Clone, Debug)]
pub struct Leadership(watch::Receiver<Standing>);

#[derive(Clone, Debug, Default, PartialEq)]
struct Standing {
    until: Option<Instant>,
    holder: Option<String>,
    problem: Option<Problem>,
}

impl Election {
    /// Begins to strive for the Lease of this name. `identity` tells this process from any other
    /// that ever was. Must be called in a tokio runtime.
    #[must_use]
    pub fn start(client: Client, namespace: &str, name: &str, identity: String) -> Self {
        let api = Api::namespaced(client, namespace);
        let (sender, standing) = watch::channel(Standing::default());
        let (end, ended) = watch::channel(false);
        let candidate = Candidate::new(namespace, name, identity);
        let task = tokio::spawn(strive(api, candidate, sender, ended));
        Self { task, leadership: Leadership(standing), end }
    }

    /// Whether this process leads.
    #[must_use]
    pub fn leadership(&self) -> Leadership {
        self.leadership.clone()
    }

    /// Gives the Lease up, so that the next one need not wait until it runs out. Nothing may be
    /// written any more.
    pub async fn end(self) {
        let _ = self.end.send(true);
        let _ = self.task.await;
    }
}

impl Leadership {
    /// Until when this process leads, if it does: no write may be under way then.
    #[must_use]
    pub fn until(&self) -> Option<Instant> {
        self.0.borrow().until.filter(|until| Instant::now() < *until)
    }

    /// Who holds the Lease, as far as is known.
    #[must_use]
    pub fn holder(&self) -> Option<String> {
        self.0.borrow().holder.clone()
    }

    /// Why the Lease cannot be asked for.
    #[must_use]
    pub fn problem(&self) -> Option<Problem> {
        self.0.borrow().problem.clone()
    }

    /// Waits for any of these to change. Cancel safe.
    pub async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            // The election has ended, and whoever waits is about to.
            std::future::pending::<()>().await;
        }
    }
}

async fn strive(
    api: Api<Lease>,
    mut candidate: Candidate,
    standing: watch::Sender<Standing>,
    mut ended: watch::Receiver<bool>,
) {
    loop {
        let outcome = tokio::select! {
            outcome = advance(&api, &mut candidate) => outcome,
            _ = ended.wait_for(|ended| *ended) => break,
        };
        let problem = outcome.err().map(|error| failing(&candidate, &error));
        standing.send_replace(Standing {
            until: candidate.until(),
            holder: candidate.holder().map(str::to_owned),
            problem,
        });
        tokio::select! {
            () = sleep(PERIOD) => {}
            _ = ended.wait_for(|ended| *ended) => break,
        }
    }
    standing.send_replace(Standing::default());
    if let Some(lease) = candidate.release(Timestamp::now()) {
        let parameters = PostParams::default();
        let released = api.replace(candidate.name(), &parameters, &lease);
        // Where it fails, the next one waits until the Lease runs out.
        let _ = timeout(PATIENCE, released).await;
    }
}

/// Why a request came to nothing.
#[derive(Debug)]
enum Failure {
    Silent,
    Refused(Box<kube::Error>),
}

/// Looks at the Lease unless it is held, and asks for it where it may be had.
async fn advance(api: &Api<Lease>, candidate: &mut Candidate) -> Result<(), Failure> {
    if !candidate.is_holder() {
        let found = asked(api.get_opt(candidate.name())).await?;
        candidate.see(found, Instant::now());
    }
    let asked_at = Instant::now();
    let parameters = PostParams::default();
    let outcome = match candidate.step(asked_at, Timestamp::now()) {
        Step::Wait => return Ok(()),
        Step::Create(lease) => asked(api.create(&parameters, &lease)).await,
        Step::Replace(lease) => asked(api.replace(candidate.name(), &parameters, &lease)).await,
    };
    match outcome {
        Ok(lease) => {
            candidate.granted(lease, asked_at);
            Ok(())
        }
        // Another one was faster, or it was deleted; or a renewal was granted that went unheard.
        Err(Failure::Refused(error)) if matches!(code(&error), Some(404 | 409)) => {
            debug!(%error, "Lease");
            // Whose it is now is not known: nothing is written until it is.
            candidate.doubt();
            let found = asked(api.get_opt(candidate.name())).await?;
            candidate.see(found, Instant::now());
            Ok(())
        }
        Err(error) => Err(error),
    }
}

async fn asked<T>(request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, Failure> {
    match timeout(PATIENCE, request).await {
        Ok(outcome) => outcome.map_err(|error| Failure::Refused(error.into())),
        Err(_) => Err(Failure::Silent),
    }
}

fn code(error: &kube::Error) -> Option<u16> {
    match error {
        kube::Error::Api(status) => Some(status.code),
        _ => None,
    }
}

fn failing(candidate: &Candidate, failure: &Failure) -> Problem {
    let reason = match failure {
        Failure::Silent => {
            format!("the API server does not answer within {} s", PATIENCE.as_secs())
        }
        Failure::Refused(error) => problem::words(error),
    };
    Problem {
        object: format!("Lease {}/{}", candidate.namespace(), candidate.name()),
        field: String::new(),
        reason,
        hint: format!(
            "this process writes nothing without it; it is asked for every {} s",
            PERIOD.as_secs()
        ),
    }
}
