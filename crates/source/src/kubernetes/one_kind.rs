//! One kind of objects, followed by itself.

use std::{mem, sync::Arc};

use etm_model::Problem;
use kube::runtime::watcher;

use super::{
    AT_ONCE, ConfigurationError, Options,
    connection::Connection,
    kind::{Batch, Kind},
    node_reports::{NodeReports, ReportUpdate},
    releases::{ObservedReleases, ReleaseUpdate},
    statistics::Statistics,
    watch::Watch,
};

/// What became of the objects of a kind.
#[derive(Clone, Debug, PartialEq)]
pub struct KindUpdate<T> {
    /// Each that changed, in order.
    pub changed: Vec<T>,
    /// All that is wrong with the watch.
    pub problems: Vec<Problem>,
}

/// A kind that is followed by itself.
pub(super) trait Alone: Kind<Object: kube::Resource<DynamicType = ()>> {
    /// What is told of one object.
    type Change;

    /// Takes what is told of this kind.
    fn changes(batch: &mut Batch) -> &mut Vec<Self::Change>;
}

/// The objects of one kind.
pub(super) struct OneKind<K: Alone> {
    watch: Watch<K>,
    statistics: Vec<Arc<Statistics>>,
    batch: Batch,
    complete: bool,
    told: Vec<Problem>,
}

impl<K: Alone> OneKind<K> {
    pub(super) async fn open(options: &Options) -> Result<Self, ConfigurationError> {
        let mut connection = Connection::open(options).await?;
        let watch = connection.watch(watcher::Config::default())?;
        let (statistics, batch) = (connection.statistics, Batch::default());
        Ok(Self { watch, statistics, batch, complete: false, told: Vec::new() })
    }

    pub(super) async fn next(&mut self) -> KindUpdate<K::Change> {
        loop {
            let outcome = self.watch.next().await;
            self.watch.take(outcome, &mut self.batch);
            for _ in 0..AT_ONCE {
                if !self.watch.take_waiting(&mut self.batch) {
                    break;
                }
            }
            if let Some(update) = self.update() {
                return update;
            }
        }
    }

    pub(super) fn is_complete(&self) -> bool {
        self.complete
    }

    pub(super) fn statistics(&self) -> &[Arc<Statistics>] {
        &self.statistics
    }

    fn update(&mut self) -> Option<KindUpdate<K::Change>> {
        let first = self.watch.table.is_complete() && !self.complete;
        self.complete |= first;
        let problems: Vec<_> = self.watch.failing().into_iter().collect();
        let news = problems != self.told;
        self.told.clone_from(&problems);
        if !self.complete {
            return news.then(|| KindUpdate { changed: Vec::new(), problems });
        }
        let changed = mem::take(K::changes(&mut self.batch));
        (first || news || !changed.is_empty()).then_some(KindUpdate { changed, problems })
    }
}

/// A watch of one kind under its own name, with the words that a reader of it needs.
macro_rules! one_kind {
    ($(#[$doc:meta])* $name:ident of $kind:ty, telling $update:ty) => {
        $(#[$doc])*
        pub struct $name(OneKind<$kind>);

        impl $name {
            /// Prepares to follow the API server; nothing is sent yet. Must be called in a tokio
            /// runtime with I/O and time enabled.
            ///
            /// # Errors
            ///
            /// Where the configuration cannot be used.
            pub async fn open(options: &Options) -> Result<Self, ConfigurationError> {
                OneKind::open(options).await.map(Self)
            }

            /// Waits for the next change. Cancel safe. What has come by then is told at once;
            /// nothing but problems is told until all were listed, and that is told then.
            pub async fn next(&mut self) -> $update {
                self.0.next().await
            }

            /// Whether all were listed once; a cluster that does not know the kind has none.
            #[must_use]
            pub fn is_complete(&self) -> bool {
                self.0.is_complete()
            }

            /// What became of the watch so far.
            #[must_use]
            pub fn statistics(&self) -> &[Arc<Statistics>] {
                self.0.statistics()
            }
        }
    };
}

one_kind! {
    /// The reports of all nodes, followed.
    ReportWatch of NodeReports, telling ReportUpdate
}

one_kind! {
    /// Releases with their status, followed.
    ReleaseWatch of ObservedReleases, telling ReleaseUpdate
}
