use etm_api::{TrafficPolicyStatus, UncheckedTrafficPolicy};
use etm_model::{Change, ObjectName, Policy, Problem};
use kube::ResourceExt as _;

use super::{
    kind::{Batch, Kind},
    policies::gone,
    statistics::Watched,
};
use crate::convert::{self, Converted};

/// A `TrafficPolicy` as the API server has it, for whoever writes its status.
#[derive(Clone, Debug, PartialEq)]
pub struct ObservedPolicy {
    /// Its name.
    pub name: ObjectName,
    /// `metadata.resourceVersion`.
    pub version: String,
    /// `metadata.generation`: which spec it is.
    pub generation: Option<i64>,
    /// `status`, as far as it can be read.
    pub status: TrafficPolicyStatus,
    /// What its spec says, or all that is wrong with it.
    pub policy: Result<Policy, Vec<Problem>>,
}

/// Policies with their status, those that cannot be honoured as well.
pub(super) struct ObservedPolicies;

impl Kind for ObservedPolicies {
    const WATCHED: Watched = Watched::TrafficPolicies;
    const MAY_LACK: bool = true;
    type Object = UncheckedTrafficPolicy;
    type Model = ObservedPolicy;
    /// What its spec said, where that could be read.
    type Told = Option<Policy>;

    fn convert(object: &UncheckedTrafficPolicy) -> Converted<ObservedPolicy> {
        let Converted { object: policy, created, proxy, problems, stays: _ } =
            convert::traffic_policy(object);
        let observed = ObservedPolicy {
            name: ObjectName::new(object.namespace().unwrap_or_default(), object.name_any()),
            version: object.resource_version().unwrap_or_default(),
            generation: object.metadata.generation,
            // Others may have written what makes no sense; the schema may have let it pass.
            status: serde_json::from_value(object.status.clone()).unwrap_or_default(),
            policy: policy.ok_or(problems),
        };
        // The problems are in the object: to write them down is what it is for.
        Converted { object: Some(observed), created, proxy, problems: Vec::new(), stays: None }
    }

    fn told(model: &ObservedPolicy) -> Option<Policy> {
        model.policy.as_ref().ok().cloned()
    }

    fn set(model: ObservedPolicy, before: Option<Option<Policy>>, batch: &mut Batch) {
        let before = before.flatten();
        let now = model.policy.as_ref().ok();
        if before.as_ref() != now {
            let moved = |before: &&Policy| now.is_none_or(|now| now.service != before.service);
            batch.changes.extend(before.as_ref().filter(moved).map(gone));
            batch.changes.extend(now.cloned().map(Change::SetPolicy));
        }
        batch.observed.push((model.name.clone(), Some(model)));
    }

    fn remove(name: &ObjectName, told: Option<Policy>, batch: &mut Batch) {
        batch.changes.extend(told.as_ref().map(gone));
        batch.observed.push((name.clone(), None));
    }
}
