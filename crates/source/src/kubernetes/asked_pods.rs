//! The metadata of Pods, in the namespaces in which somebody asks for it: policies for the annotation
//! that weighs, routes for labels.

use std::{
    collections::{BTreeMap, BTreeSet},
    future,
    sync::Arc,
    task::Poll,
};

use etm_model::{Change, Labels, ObjectName, Problem, Weight};
use k8s_openapi::api::core::v1;
use kube::{Api, core::PartialObjectMeta, runtime::watcher};

use super::{
    Watched,
    asking::Asking,
    client::Access,
    kind::{Batch, Kind},
    statistics::Statistics,
    watch::{Outcome, Watch},
};
use crate::convert::{self, Converted};

/// What is asked of the Pods of a namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Asked {
    weights: bool,
    labels: bool,
}

impl Asked {
    fn of(self, change: &Change) -> bool {
        match change {
            Change::SetPodWeight(..) => self.weights,
            Change::SetPodLabels(..) => self.labels,
            _ => true,
        }
    }
}

struct Followed {
    asked: Asked,
    watch: Watch<PodMetadata>,
}

/// A watch for each such namespace, of nothing but metadata: there is none where nobody asks, for
/// every node would hear of every Pod.
pub(super) struct AskedPods {
    access: Arc<Access>,
    statistics: Arc<Statistics>,
    watches: BTreeMap<Arc<str>, Followed>,
    unopened: Option<Problem>,
}

impl AskedPods {
    pub(super) fn new(access: Arc<Access>) -> Self {
        let statistics = Arc::new(Statistics::new(Watched::PodMetadata));
        Self { access, statistics, watches: BTreeMap::new(), unopened: None }
    }

    /// What became of all these watches.
    pub(super) fn statistics(&self) -> &Arc<Statistics> {
        &self.statistics
    }

    /// Begins and ends watches by who asks now.
    pub(super) fn ask(&mut self, asking: &Asking, batch: &mut Batch) {
        let (weights, labels) = (asking.weights(), asking.labels());
        let asked = |namespace: &Arc<str>| Asked {
            weights: weights.contains(namespace),
            labels: labels.contains(namespace),
        };
        self.watches.retain(|namespace, followed| {
            let now = asked(namespace);
            let before = std::mem::replace(&mut followed.asked, now);
            if now == Asked::default() {
                followed.forget(before, batch);
                return false;
            }
            followed.turn(before, batch);
            true
        });
        self.unopened = None;
        for namespace in weights.union(&labels).collect::<BTreeSet<_>>() {
            if self.watches.contains_key(namespace) {
                continue;
            }
            match self.open(namespace) {
                Ok(watch) => {
                    let followed = Followed { asked: asked(namespace), watch };
                    self.watches.insert(Arc::clone(namespace), followed);
                }
                Err(error) => self.unopened = Some(unopened(namespace, &error)),
            }
        }
    }

    fn open(&self, namespace: &str) -> Result<Watch<PodMetadata>, kube::Error> {
        let client = self.access.client(Some(Arc::clone(&self.statistics)))?;
        let unfinished =
            watcher::Config::default().fields("status.phase!=Succeeded,status.phase!=Failed");
        let api = Api::namespaced(client, namespace);
        Ok(Watch::new(api, unfinished, Arc::clone(&self.statistics), None))
    }

    /// Waits for what comes next, and says of which namespace. Cancel safe.
    pub(super) async fn next(&mut self) -> (Arc<str>, Outcome<PodMetadata>) {
        future::poll_fn(|context| {
            for (namespace, followed) in &mut self.watches {
                if let Poll::Ready(outcome) = followed.watch.poll_next(context) {
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
        (namespace, outcome): (Arc<str>, Outcome<PodMetadata>),
        batch: &mut Batch,
    ) {
        if let Some(Followed { asked, watch }) = self.watches.get_mut(&namespace) {
            only(*asked, batch, |batch| watch.take(outcome, batch));
        }
    }

    /// Takes in what has come already, if anything has.
    pub(super) fn take_waiting(&mut self, batch: &mut Batch) -> bool {
        let waiting = self.watches.values_mut().map(|Followed { asked, watch }| {
            only(*asked, batch, |batch| watch.take_waiting(batch))
        });
        waiting.fold(false, |any, taken| any | taken)
    }

    /// Whether every namespace was listed once, or cannot be.
    pub(super) fn is_settled(&self) -> bool {
        self.watches.values().all(|followed| followed.watch.is_settled())
    }

    pub(super) fn problems(&self) -> impl Iterator<Item = Problem> {
        let watches = self.watches.values().flat_map(|followed| {
            // What is wrong with an annotation is of no interest to a route.
            let weights = followed.asked.weights;
            let objects = followed.watch.problems().filter(move |_| weights);
            followed.watch.failing().into_iter().filter(move |_| !weights).chain(objects)
        });
        watches.chain(self.unopened.clone())
    }
}

impl Followed {
    /// Tells what is known of the Pods already and was not asked for before, and takes back what no
    /// longer is.
    fn turn(&self, before: Asked, batch: &mut Batch) {
        for (pod, told) in self.watch.table.told() {
            if before.weights != self.asked.weights
                && let Some(weight) = told.weight
            {
                let weight = self.asked.weights.then_some(weight);
                batch.changes.push(Change::SetPodWeight(pod.clone(), weight));
            }
            if before.labels != self.asked.labels {
                let labels = self.asked.labels.then(|| told.labels.clone());
                batch.changes.push(Change::SetPodLabels(pod.clone(), labels));
            }
        }
    }

    /// Takes back all that was told.
    fn forget(&mut self, told: Asked, batch: &mut Batch) {
        only(told, batch, |batch| self.watch.table.clear(batch));
    }
}

/// Leaves of the changes that something makes those that are asked for.
fn only<T>(asked: Asked, batch: &mut Batch, take: impl FnOnce(&mut Batch) -> T) -> T {
    let known = batch.changes.len();
    let taken = take(batch);
    let news = batch.changes.split_off(known);
    batch.changes.extend(news.into_iter().filter(|change| asked.of(change)));
    taken
}

/// The metadata of a Pod, as far as it is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Metadata {
    pub(super) weight: Option<Weight>,
    pub(super) labels: Labels,
}

/// Pods of a namespace, by their metadata.
pub(super) struct PodMetadata;

impl Kind for PodMetadata {
    const WATCHED: Watched = Watched::PodMetadata;
    type Object = PartialObjectMeta<v1::Pod>;
    type Model = (ObjectName, Metadata);
    type Told = Metadata;

    fn convert(object: &PartialObjectMeta<v1::Pod>) -> Converted<(ObjectName, Metadata)> {
        let labels = convert::labels(&object.metadata);
        convert::pod_weight(object).map(|(name, weight)| (name, Metadata { weight, labels }))
    }

    fn told((_, metadata): &(ObjectName, Metadata)) -> Metadata {
        metadata.clone()
    }

    fn set((pod, metadata): (ObjectName, Metadata), before: Option<Metadata>, batch: &mut Batch) {
        let Metadata { weight, labels } = metadata;
        if before.as_ref().and_then(|before| before.weight) != weight {
            batch.changes.push(Change::SetPodWeight(pod.clone(), weight));
        }
        if before.is_none_or(|before| before.labels != labels) {
            batch.changes.push(Change::SetPodLabels(pod, Some(labels)));
        }
    }

    fn remove(pod: &ObjectName, told: Metadata, batch: &mut Batch) {
        if told.weight.is_some() {
            batch.changes.push(Change::SetPodWeight(pod.clone(), None));
        }
        batch.changes.push(Change::SetPodLabels(pod.clone(), None));
    }
}

fn unopened(namespace: &str, error: &kube::Error) -> Problem {
    Problem {
        object: format!("watch of {} in {namespace}", Watched::PodMetadata),
        field: String::new(),
        reason: format!("cannot be begun: {error}"),
        hint: "every Pod there counts as without annotation and labels; mend what the kubeconfig \
               names, then start the agent anew"
            .into(),
    }
}
