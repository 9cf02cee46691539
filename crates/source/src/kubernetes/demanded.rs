use std::{future, sync::Arc, task::Poll};

use etm_model::{ObjectName, Problem};
use kube::{Api, Resource, runtime::watcher};

use super::{
    client::Access,
    kind::{Batch, Kind},
    statistics::Statistics,
    watch::{Outcome, Watch},
};

/// A kind of objects that is watched only while somebody asks for it.
pub(super) struct Demanded<K: Kind> {
    access: Arc<Access>,
    statistics: Arc<Statistics>,
    config: watcher::Config,
    proxy_name: Option<String>,
    watch: Option<Watch<K>>,
    unopened: Option<Problem>,
}

impl<K: Kind<Object: Resource<DynamicType = ()>>> Demanded<K> {
    pub(super) fn new(access: Arc<Access>, config: watcher::Config) -> Self {
        let statistics = Arc::new(Statistics::new(K::WATCHED));
        Self { access, statistics, config, proxy_name: None, watch: None, unopened: None }
    }

    /// Objects for the proxy of this name count too.
    pub(super) fn for_proxy(self, name: Option<String>) -> Self {
        Self { proxy_name: name, ..self }
    }

    /// What became of the watch, while there was one.
    pub(super) fn statistics(&self) -> &Arc<Statistics> {
        &self.statistics
    }

    /// Begins or ends the watch.
    pub(super) fn demand(&mut self, demanded: bool, batch: &mut Batch) {
        self.unopened = None;
        match (demanded, &mut self.watch) {
            (true, None) => self.open(),
            (false, Some(watch)) => {
                watch.table.clear(batch);
                self.watch = None;
            }
            _ => {}
        }
    }

    /// Begins the watch of objects with other labels than before, which is listed anew; what was told
    /// counts until then.
    pub(super) fn select(&mut self, labels: String, batch: &mut Batch) {
        if self.watch.is_some() && self.config.label_selector.as_ref() == Some(&labels) {
            return;
        }
        self.config.label_selector = Some(labels);
        let before = self.watch.take();
        self.demand(true, batch);
        match (&mut self.watch, before) {
            (Some(watch), Some(before)) => watch.table = before.table.anew(),
            // What cannot be followed any more is not known any more.
            (None, Some(mut before)) => before.table.clear(batch),
            (_, None) => {}
        }
    }

    fn open(&mut self) {
        match self.access.client(Some(Arc::clone(&self.statistics))) {
            Ok(client) => {
                let (config, statistics) = (self.config.clone(), Arc::clone(&self.statistics));
                let proxy_name = self.proxy_name.clone();
                self.watch = Some(Watch::new(Api::all(client), config, statistics, proxy_name));
            }
            Err(error) => self.unopened = Some(unopened::<K>(&error)),
        }
    }
}

impl<K: Kind> Demanded<K> {
    /// Waits for what comes next. Cancel safe.
    pub(super) async fn next(&mut self) -> Outcome<K> {
        future::poll_fn(|context| match &mut self.watch {
            Some(watch) => watch.poll_next(context),
            None => Poll::Pending,
        })
        .await
    }

    /// Takes in what came.
    pub(super) fn take(&mut self, outcome: Outcome<K>, batch: &mut Batch) {
        if let Some(watch) = &mut self.watch {
            watch.take(outcome, batch);
        }
    }

    /// Takes in what has come already, if anything has.
    pub(super) fn take_waiting(&mut self, batch: &mut Batch) -> bool {
        self.watch.as_mut().is_some_and(|watch| watch.take_waiting(batch))
    }

    /// Whether what is asked for was listed once, or cannot be.
    pub(super) fn is_settled(&self) -> bool {
        self.watch.as_ref().is_none_or(Watch::is_settled)
    }

    /// What was told of one object.
    pub(super) fn told_of(&self, name: &ObjectName) -> Option<&K::Told> {
        self.watch.as_ref()?.table.told_of(name)
    }

    /// What is wrong with the watch.
    pub(super) fn failing(&self) -> Option<Problem> {
        self.watch.as_ref().and_then(Watch::failing).or_else(|| self.unopened.clone())
    }

    pub(super) fn problems(&self) -> impl Iterator<Item = Problem> {
        self.watch.iter().flat_map(Watch::problems).chain(self.unopened.clone())
    }
}

fn unopened<K: Kind>(error: &kube::Error) -> Problem {
    Problem {
        object: format!("watch of {}", K::WATCHED),
        field: String::new(),
        reason: format!("cannot be begun: {error}"),
        hint: "none are known; mend what the kubeconfig names, then start anew".into(),
    }
}
