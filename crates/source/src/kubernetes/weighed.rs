//! The annotations of Pods that weigh, in the namespaces in which a policy asks for them.

use std::{
    collections::{BTreeMap, BTreeSet},
    future,
    sync::Arc,
    task::Poll,
};

use etm_model::{ObjectName, Problem};
use kube::{Api, runtime::watcher};

use super::{
    Watched,
    client::Access,
    kind::Batch,
    policies::PodWeights,
    statistics::Statistics,
    watch::{Outcome, Watch},
};

/// A watch for each namespace in which Pods weigh, of nothing but their metadata: there is none
/// where nobody asks, for every node would hear of every Pod.
pub(super) struct Weighed {
    access: Access,
    statistics: Arc<Statistics>,
    /// The policies that ask.
    asking: BTreeSet<ObjectName>,
    watches: BTreeMap<Arc<str>, Watch<PodWeights>>,
    unopened: Option<Problem>,
}

impl Weighed {
    pub(super) fn new(access: Access) -> Self {
        Self {
            access,
            statistics: Arc::new(Statistics::new(Watched::PodWeights)),
            asking: BTreeSet::new(),
            watches: BTreeMap::new(),
            unopened: None,
        }
    }

    /// What became of all these watches.
    pub(super) fn statistics(&self) -> &Arc<Statistics> {
        &self.statistics
    }

    /// Takes in which policies ask for weights now, and begins and ends watches.
    pub(super) fn ask(&mut self, batch: &mut Batch) {
        if batch.asking.is_empty() {
            return;
        }
        for (policy, asks) in batch.asking.drain(..) {
            if asks {
                self.asking.insert(policy);
            } else {
                self.asking.remove(&policy);
            }
        }
        let asked: BTreeSet<_> =
            self.asking.iter().map(|policy| Arc::clone(&policy.namespace)).collect();
        self.watches.retain(|namespace, watch| {
            let stays = asked.contains(namespace);
            if !stays {
                watch.table.clear(batch);
            }
            stays
        });
        self.unopened = None;
        for namespace in asked {
            if self.watches.contains_key(&namespace) {
                continue;
            }
            match self.open(&namespace) {
                Ok(watch) => drop(self.watches.insert(namespace, watch)),
                Err(error) => self.unopened = Some(unopened(&namespace, &error)),
            }
        }
    }

    fn open(&self, namespace: &str) -> Result<Watch<PodWeights>, kube::Error> {
        let client = self.access.client(Some(Arc::clone(&self.statistics)))?;
        let unfinished =
            watcher::Config::default().fields("status.phase!=Succeeded,status.phase!=Failed");
        let api = Api::namespaced(client, namespace);
        Ok(Watch::new(api, unfinished, Arc::clone(&self.statistics), None))
    }

    /// Waits for what comes next, and says of which namespace. Cancel safe.
    pub(super) async fn next(&mut self) -> (Arc<str>, Outcome<PodWeights>) {
        future::poll_fn(|context| {
            for (namespace, watch) in &mut self.watches {
                if let Poll::Ready(outcome) = watch.poll_next(context) {
                    return Poll::Ready((Arc::clone(namespace), outcome));
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Takes in what came.
    pub(super) fn take(
        &mut self,
        (namespace, outcome): (Arc<str>, Outcome<PodWeights>),
        batch: &mut Batch,
    ) {
        if let Some(watch) = self.watches.get_mut(&namespace) {
            watch.take(outcome, batch);
        }
    }

    /// Takes in what has come already, if anything has.
    pub(super) fn take_waiting(&mut self, batch: &mut Batch) -> bool {
        let waiting = self.watches.values_mut().map(|watch| watch.take_waiting(batch));
        waiting.fold(false, |any, taken| any | taken)
    }

    /// Whether every namespace was listed once, or cannot be.
    pub(super) fn is_settled(&self) -> bool {
        self.watches.values().all(Watch::is_settled)
    }

    pub(super) fn problems(&self) -> impl Iterator<Item = Problem> {
        self.watches.values().flat_map(Watch::problems).chain(self.unopened.clone())
    }
}

fn unopened(namespace: &str, error: &kube::Error) -> Problem {
    Problem {
        object: format!("watch of {} in {namespace}", Watched::PodWeights),
        field: String::new(),
        reason: format!("cannot be begun: {error}"),
        hint: "every Pod there counts as without the annotation; mend what the kubeconfig names, \
               then start the agent anew"
            .into(),
    }
}
