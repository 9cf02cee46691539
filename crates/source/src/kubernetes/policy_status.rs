use std::{mem, sync::Arc};

use etm_model::{Change, ObjectName, Problem};
use kube::{Client, runtime::watcher};

use super::{
    AT_ONCE, ConfigurationError, Options,
    connection::{Connection, unlabelled},
    kind::{Batch, Services},
    observed::{ObservedPolicies, ObservedPolicy},
    statistics::Statistics,
    watch::Watch,
};

/// What the status of policies depends on, followed: policies and Services, and nothing else.
pub struct PolicyWatch {
    services: Watch<Services>,
    policies: Watch<ObservedPolicies>,
    client: Client,
    statistics: Vec<Arc<Statistics>>,
    batch: Batch,
    complete: bool,
    told: Vec<Problem>,
}

/// What became of policies and Services.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PolicyUpdate {
    /// What changed that the status of any policy may depend on.
    pub changes: Vec<Change>,
    /// Each policy that changed, its status included, in order; none of one that is gone.
    pub policies: Vec<(ObjectName, Option<ObservedPolicy>)>,
    /// All that is wrong with the watches, in a fixed order. What is wrong with policies is in
    /// `policies`; what is wrong with Services is for agents to tell.
    pub problems: Vec<Problem>,
}

impl PolicyWatch {
    /// Prepares to follow the API server; nothing is sent yet. Must be called in a tokio runtime
    /// with I/O and time enabled. Of `options.source` only the proxy's name counts.
    ///
    /// # Errors
    ///
    /// Where the configuration cannot be used; an API server that does not answer is a [`Problem`].
    pub async fn open(options: &Options) -> Result<Self, ConfigurationError> {
        let mut connection = Connection::open(options).await?;
        let unlabelled = unlabelled(options.source.proxy_name.as_deref());
        let services = connection.watch(watcher::Config::default().labels(&unlabelled))?;
        let policies = connection.watch(watcher::Config::default())?;
        let client = connection.client()?;
        Ok(Self {
            services,
            policies,
            client,
            statistics: connection.statistics,
            batch: Batch::default(),
            complete: false,
            told: Vec::new(),
        })
    }

    /// A client that reaches the API server in the same way, for whatever is to be written there.
    /// Its default namespace is that of the Pod or of the kubeconfig's context.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Waits for the next change. Cancel safe. What has come by then is told at once; nothing but
    /// problems is told until both kinds were listed to the end; that they were is told then, also
    /// where they are empty.
    pub async fn next(&mut self) -> PolicyUpdate {
        loop {
            tokio::select! {
                outcome = self.services.next() => self.services.take(outcome, &mut self.batch),
                outcome = self.policies.next() => self.policies.take(outcome, &mut self.batch),
            }
            for _ in 0..AT_ONCE {
                let services = self.services.take_waiting(&mut self.batch);
                let policies = self.policies.take_waiting(&mut self.batch);
                if !services && !policies {
                    break;
                }
            }
            if let Some(update) = self.update() {
                return update;
            }
        }
    }

    /// Whether Services and policies were listed to the end once; a cluster that does not know the
    /// kind has no policies.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// What became of each watch so far.
    #[must_use]
    pub fn statistics(&self) -> &[Arc<Statistics>] {
        &self.statistics
    }

    fn update(&mut self) -> Option<PolicyUpdate> {
        // A policy whose Service is not known yet must not be told that there is none.
        let complete = self.services.table.is_complete() && self.policies.table.is_complete();
        let first = complete && !self.complete;
        self.complete |= complete;
        let mut problems: Vec<_> =
            self.services.failing().into_iter().chain(self.policies.failing()).collect();
        problems.sort();
        let news = problems != self.told;
        self.told.clone_from(&problems);
        if !self.complete {
            return news.then(|| PolicyUpdate { problems, ..PolicyUpdate::default() });
        }
        let Batch { changes, observed: policies, .. } = mem::take(&mut self.batch);
        let any = first || news || !changes.is_empty() || !policies.is_empty();
        any.then_some(PolicyUpdate { changes, policies, problems })
    }
}
