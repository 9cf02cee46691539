//! What agents have reported, for whoever tells of it.

use std::{mem, sync::Arc};

use etm_api::{NodeReportSpec, ReportedEndpoint, UncheckedNodeReport};
use etm_model::{ObjectName, Problem};
use kube::{ResourceExt as _, runtime::watcher};

use super::{
    AT_ONCE, ConfigurationError, Options,
    connection::Connection,
    kind::{Batch, Kind},
    nodes::plain,
    statistics::{Statistics, Watched},
    watch::Watch,
};
use crate::convert::Converted;

/// The reports of all nodes, followed.
pub struct ReportWatch {
    reports: Watch<NodeReports>,
    statistics: Vec<Arc<Statistics>>,
    batch: Batch,
    complete: bool,
    told: Vec<Problem>,
}

/// What became of reports.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReportUpdate {
    /// By the node's name, in order, what it says now; none where its report is gone.
    pub reports: Vec<(Arc<str>, Option<Vec<ReportedEndpoint>>)>,
    /// All that is wrong with the watch.
    pub problems: Vec<Problem>,
}

impl ReportWatch {
    /// Prepares to follow the API server; nothing is sent yet. Must be called in a tokio runtime
    /// with I/O and time enabled.
    ///
    /// # Errors
    ///
    /// Where the configuration cannot be used.
    pub async fn open(options: &Options) -> Result<Self, ConfigurationError> {
        let mut connection = Connection::open(options).await?;
        let reports = connection.watch(watcher::Config::default())?;
        let (statistics, batch) = (connection.statistics, Batch::default());
        Ok(Self { reports, statistics, batch, complete: false, told: Vec::new() })
    }

    /// Waits for the next change. Cancel safe. What has come by then is told at once; nothing but
    /// problems is told until all were listed, and that is told then.
    pub async fn next(&mut self) -> ReportUpdate {
        loop {
            let outcome = self.reports.next().await;
            self.reports.take(outcome, &mut self.batch);
            for _ in 0..AT_ONCE {
                if !self.reports.take_waiting(&mut self.batch) {
                    break;
                }
            }
            if let Some(update) = self.update() {
                return update;
            }
        }
    }

    /// Whether all were listed once; a cluster that does not know the kind has none.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// What became of the watch so far.
    #[must_use]
    pub fn statistics(&self) -> &[Arc<Statistics>] {
        &self.statistics
    }

    fn update(&mut self) -> Option<ReportUpdate> {
        let first = self.reports.table.is_complete() && !self.complete;
        self.complete |= first;
        let problems: Vec<_> = self.reports.failing().into_iter().collect();
        let news = problems != self.told;
        self.told.clone_from(&problems);
        if !self.complete {
            return news.then(|| ReportUpdate { problems, ..ReportUpdate::default() });
        }
        let Batch { reports, .. } = mem::take(&mut self.batch);
        (first || news || !reports.is_empty()).then_some(ReportUpdate { reports, problems })
    }
}

struct NodeReports;

impl Kind for NodeReports {
    const WATCHED: Watched = Watched::NodeReports;
    const MAY_LACK: bool = true;
    type Object = UncheckedNodeReport;
    type Model = (Arc<str>, Vec<ReportedEndpoint>);
    type Told = ();

    fn convert(object: &UncheckedNodeReport) -> Converted<Self::Model> {
        // Others may have written what makes no sense; that says nothing.
        let spec: NodeReportSpec = serde_json::from_value(object.spec.clone()).unwrap_or_default();
        plain((object.name_any().into(), spec.ejected))
    }

    fn told(_model: &Self::Model) -> Self::Told {}

    fn set((node, ejected): Self::Model, _before: Option<()>, batch: &mut Batch) {
        batch.reports.push((node, Some(ejected)));
    }

    fn remove(name: &ObjectName, (): (), batch: &mut Batch) {
        batch.reports.push((Arc::clone(&name.name), None));
    }
}
