use std::{
    fmt::Debug,
    future,
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};

use etm_model::{Problem, with_causes};
use futures_util::{
    FutureExt as _, Stream, StreamExt as _,
    stream::{self, BoxStream},
};
use kube::{
    Api, Resource,
    core::Status,
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event, watcher},
    },
};
use serde::de::DeserializeOwned;

use super::{
    kind::{Batch, Kind},
    statistics::{Statistics, refusal, status},
    table::Table,
    wakeful::Wakeful,
};

/// Seconds after which a watch is begun anew, at least and at most; kube allows for less than 295.
/// Each has a length of its own, so that the nodes of a cluster that starts up do not stay in step.
const LIFETIME: (u32, u32) = (200, 290);

pub(super) type Outcome<K> = Result<Event<<K as Kind>::Object>, watcher::Error>;

/// One kind of objects, followed for ever.
pub(super) struct Watch<K: Kind> {
    events: Wakeful<BoxStream<'static, Outcome<K>>>,
    pub(super) table: Table<K>,
    statistics: Arc<Statistics>,
    failing: Option<Problem>,
    /// Whether the API server answers, but not with objects.
    refused: bool,
}

impl<K: Kind> Watch<K> {
    pub(super) fn new(
        api: Api<K::Object>,
        config: watcher::Config,
        statistics: Arc<Statistics>,
        proxy_name: Option<String>,
    ) -> Self {
        let events = Wakeful::new(follow(api, config.timeout(lifetime())).boxed());
        Self { events, table: Table::new(proxy_name), statistics, failing: None, refused: false }
    }

    /// Waits for what comes next. Cancel safe.
    pub(super) async fn next(&mut self) -> Outcome<K> {
        future::poll_fn(|context| self.poll_next(context)).await
    }

    /// The same, where several are waited for.
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Outcome<K>> {
        match ready!(self.events.poll_next_unpin(context)) {
            Some(outcome) => Poll::Ready(outcome),
            // A watcher has no end.
            None => Poll::Pending,
        }
    }

    /// Takes in what has come already, if anything has.
    pub(super) fn take_waiting(&mut self, batch: &mut Batch) -> bool {
        let Some(outcome) = self.next().now_or_never() else { return false };
        self.take(outcome, batch);
        true
    }

    /// Takes in what came.
    pub(super) fn take(&mut self, outcome: Outcome<K>, batch: &mut Batch) {
        match outcome {
            Ok(event) => {
                if matches!(event, Event::Init) {
                    // It is begun; what the API server says to it comes next.
                    self.statistics.note_list();
                } else {
                    (self.failing, self.refused) = (None, false);
                }
                self.table.take(event, Instant::now(), batch);
            }
            Err(error) if K::MAY_LACK && status(&error) == Some(404) => {
                self.failing = K::NEEDED.then(|| lacking(K::WATCHED));
                self.table.clear(batch);
            }
            Err(error) => {
                self.statistics.note_error(&error);
                self.refused = status(&error).is_some();
                // An old version is no trouble: a full list follows at once.
                if status(&error) != Some(410) {
                    self.failing.get_or_insert_with(|| failing(K::WATCHED, &error));
                }
            }
        }
    }

    /// Whether there was a list that came to its end, or there will be none for now.
    pub(super) fn is_settled(&self) -> bool {
        self.table.is_complete() || self.refused
    }

    /// Full lists that were begun: what happened between two of them may have gone unheard.
    pub(super) fn lists(&self) -> u64 {
        self.statistics.lists()
    }

    /// What is wrong with the watch.
    pub(super) fn failing(&self) -> Option<Problem> {
        self.failing.clone()
    }

    /// What is wrong with the watch, and with the objects.
    pub(super) fn problems(&self) -> impl Iterator<Item = Problem> {
        self.failing.iter().chain(self.table.problems()).cloned()
    }
}

/// Events without end: errors are followed by growing pauses, and a server that cannot stream lists
/// is asked for pages.
fn follow<K>(
    api: Api<K>,
    config: watcher::Config,
) -> impl Stream<Item = Result<Event<K>, watcher::Error>> + Send
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let begin = |api: &Api<K>, config: &watcher::Config| {
        watcher(api.clone(), config.clone()).default_backoff().boxed()
    };
    let streamed = config.clone().streaming_lists();
    let events = begin(&api, &streamed);
    stream::unfold((events, streamed), move |(mut events, mut strategy)| {
        let (api, paged) = (api.clone(), config.clone());
        async move {
            loop {
                let outcome = events.next().await?;
                if let Err(error) = &outcome {
                    if strategy != paged && cannot_stream(error) {
                        strategy = paged.clone();
                        events = begin(&api, &strategy);
                        continue;
                    }
                    if is_refused_as_gone(error) {
                        events = begin(&api, &strategy);
                    }
                }
                return Some((outcome, (events, strategy)));
            }
        }
    })
}

/// Where the feature `WatchList` is off, `sendInitialEvents` is refused as an invalid option.
fn cannot_stream(error: &watcher::Error) -> bool {
    matches!(
        error,
        watcher::Error::WatchStartFailed(kube::Error::Api(status))
            if matches!(status.code, 400 | 422) && status.message.contains("sendInitialEvents")
    )
}

/// An old version is mostly told within a watch, and kube begins with a list again. Where a watch is
/// refused for it, kube would ask for the same version for ever.
fn is_refused_as_gone(error: &watcher::Error) -> bool {
    matches!(error, watcher::Error::WatchStartFailed(_)) && status(error) == Some(410)
}

/// Some seconds of the range; how random they are does not matter.
fn lifetime() -> u32 {
    let (least, most) = LIFETIME;
    let random = RandomState::new().hash_one(0) % u64::from(most - least + 1);
    least + random as u32
}

fn failing(watched: super::Watched, error: &watcher::Error) -> Problem {
    let reason = match refusal(error) {
        Some(Status { code, message, .. }) => format!("HTTP {code}: {message}"),
        None => with_causes(error),
    };
    Problem {
        object: format!("watch of {watched}"),
        field: String::new(),
        reason,
        hint: "the last good state stays; it is tried again, with growing pauses".into(),
    }
}

fn lacking(watched: super::Watched) -> Problem {
    Problem {
        object: format!("watch of {watched}"),
        field: String::new(),
        reason: "the API server does not know this kind".into(),
        hint: "etm install --apply makes it known, as does kubectl apply --server-side -f \
               deploy/kustomize/crds; until then there are none, and it is looked for every half \
               minute"
            .into(),
    }
}
