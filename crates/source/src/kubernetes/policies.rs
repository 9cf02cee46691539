//! The kinds that say how members are chosen.

use std::sync::Arc;

use etm_api::UncheckedTrafficPolicy;
use etm_model::{Change, ObjectName, Policy};

use super::{
    kind::{Batch, Kind},
    statistics::Watched,
};
use crate::convert::{self, Converted};

pub(super) struct TrafficPolicies;

impl Kind for TrafficPolicies {
    const WATCHED: Watched = Watched::TrafficPolicies;
    const MAY_LACK: bool = true;
    type Object = UncheckedTrafficPolicy;
    type Model = Policy;
    /// All of it: whoever writes a policy's status changes nothing that is needed here.
    type Told = Policy;

    fn convert(object: &UncheckedTrafficPolicy) -> Converted<Policy> {
        convert::traffic_policy(object)
    }

    fn told(model: &Policy) -> Policy {
        model.clone()
    }

    fn set(model: Policy, before: Option<Policy>, batch: &mut Batch) {
        if before.as_ref() == Some(&model) {
            return;
        }
        let asks = model.load_balancing.pod_weights;
        let asked = before.as_ref().is_some_and(|before| before.load_balancing.pod_weights);
        if let Some(before) = before.filter(|before| before.service != model.service) {
            batch.changes.push(gone(&before));
        }
        if asks != asked {
            batch.asking.push((model.name.clone(), asks));
        }
        batch.changes.push(Change::SetPolicy(model));
    }

    fn remove(name: &ObjectName, told: Policy, batch: &mut Batch) {
        if told.load_balancing.pod_weights {
            batch.asking.push((name.clone(), false));
        }
        batch.changes.push(gone(&told));
    }
}

/// That a policy is no longer one of its Service.
pub(super) fn gone(policy: &Policy) -> Change {
    Change::RemovePolicy(policy.target(), Arc::clone(&policy.name.name))
}
