//! What agents have reported, for whoever tells of it.

use std::sync::Arc;

use etm_api::{NodeReportSpec, ReportedEndpoint, UncheckedNodeReport};
use etm_model::ObjectName;
use kube::ResourceExt as _;

use super::{
    kind::{Batch, Kind},
    nodes::plain,
    one_kind::{Alone, KindUpdate},
    statistics::Watched,
};
use crate::convert::Converted;

/// By the node's name what it says now; none where its report is gone.
type Reported = (Arc<str>, Option<Vec<ReportedEndpoint>>);

/// What became of reports.
pub type ReportUpdate = KindUpdate<Reported>;

pub(super) struct NodeReports;

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

impl Alone for NodeReports {
    type Change = Reported;

    fn changes(batch: &mut Batch) -> &mut Vec<Reported> {
        &mut batch.reports
    }
}
