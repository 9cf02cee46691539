use std::{mem, sync::Arc};

use etm_model::{ObjectName, Problem};
use kube::runtime::watcher;

use super::{
    AT_ONCE, ConfigurationError, Options,
    connection::Connection,
    kind::Batch,
    releases::{ObservedRelease, ObservedReleases},
    statistics::Statistics,
    watch::Watch,
};

/// Releases with their status, followed.
pub struct ReleaseWatch {
    releases: Watch<ObservedReleases>,
    statistics: Vec<Arc<Statistics>>,
    batch: Batch,
    complete: bool,
    told: Vec<Problem>,
}

/// What became of releases.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReleaseUpdate {
    /// Each that changed, in order; none of one that is gone.
    pub releases: Vec<(ObjectName, Option<ObservedRelease>)>,
    /// All that is wrong with the watch.
    pub problems: Vec<Problem>,
}

impl ReleaseWatch {
    /// Prepares to follow the API server; nothing is sent yet. Must be called in a tokio runtime
    /// with I/O and time enabled.
    ///
    /// # Errors
    ///
    /// Where the configuration cannot be used.
    pub async fn open(options: &Options) -> Result<Self, ConfigurationError> {
        let mut connection = Connection::open(options).await?;
        let releases = connection.watch(watcher::Config::default())?;
        Ok(Self {
            releases,
            statistics: connection.statistics,
            batch: Batch::default(),
            complete: false,
            told: Vec::new(),
        })
    }

    /// Waits for the next change. Cancel safe. What has come by then is told at once; nothing but
    /// problems is told until all were listed to the end, and that is told then.
    pub async fn next(&mut self) -> ReleaseUpdate {
        loop {
            let outcome = self.releases.next().await;
            self.releases.take(outcome, &mut self.batch);
            for _ in 0..AT_ONCE {
                if !self.releases.take_waiting(&mut self.batch) {
                    break;
                }
            }
            if let Some(update) = self.update() {
                return update;
            }
        }
    }

    /// Whether all were listed to the end once; a cluster that does not know the kind has none.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// What became of the watch so far.
    #[must_use]
    pub fn statistics(&self) -> &[Arc<Statistics>] {
        &self.statistics
    }

    fn update(&mut self) -> Option<ReleaseUpdate> {
        let complete = self.releases.table.is_complete();
        let first = complete && !self.complete;
        self.complete |= complete;
        let problems: Vec<_> = self.releases.failing().into_iter().collect();
        let news = problems != self.told;
        self.told.clone_from(&problems);
        if !self.complete {
            return news.then(|| ReleaseUpdate { problems, ..ReleaseUpdate::default() });
        }
        let Batch { releases, .. } = mem::take(&mut self.batch);
        (first || news || !releases.is_empty()).then_some(ReleaseUpdate { releases, problems })
    }
}
