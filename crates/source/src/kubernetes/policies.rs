//! The kinds that say how members are chosen.

use std::sync::Arc;

use etm_api::UncheckedTrafficPolicy;
use etm_model::{Change, ObjectName, Policy, Weight};
use k8s_openapi::api::core::v1;
use kube::core::PartialObjectMeta;

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
    /// The Service that it is for, and whether it asks for the weights of Pods.
    type Told = (Arc<str>, bool);

    fn convert(object: &UncheckedTrafficPolicy) -> Converted<Policy> {
        convert::traffic_policy(object)
    }

    fn told(model: &Policy) -> (Arc<str>, bool) {
        (Arc::clone(&model.service), model.load_balancing.pod_weights)
    }

    fn set(model: Policy, before: Option<(Arc<str>, bool)>, batch: &mut Batch) {
        let asks = model.load_balancing.pod_weights;
        let asked = before.as_ref().is_some_and(|(_, asked)| *asked);
        if let Some((service, _)) = before.filter(|(service, _)| *service != model.service) {
            let service =
                ObjectName { namespace: Arc::clone(&model.name.namespace), name: service };
            batch.changes.push(Change::RemovePolicy(service, Arc::clone(&model.name.name)));
        }
        if asks != asked {
            batch.asking.push((model.name.clone(), asks));
        }
        batch.changes.push(Change::SetPolicy(model));
    }

    fn remove(name: &ObjectName, (service, asked): (Arc<str>, bool), batch: &mut Batch) {
        if asked {
            batch.asking.push((name.clone(), false));
        }
        let service = ObjectName { namespace: Arc::clone(&name.namespace), name: service };
        batch.changes.push(Change::RemovePolicy(service, Arc::clone(&name.name)));
    }
}

/// Pods of a namespace, as far as they have a weight of their own.
pub(super) struct PodWeights;

impl Kind for PodWeights {
    const WATCHED: Watched = Watched::PodWeights;
    type Object = PartialObjectMeta<v1::Pod>;
    type Model = (ObjectName, Weight);
    type Told = Weight;

    fn convert(object: &PartialObjectMeta<v1::Pod>) -> Converted<(ObjectName, Weight)> {
        convert::pod_weight(object)
    }

    fn told((_, weight): &(ObjectName, Weight)) -> Weight {
        *weight
    }

    fn set((pod, weight): (ObjectName, Weight), before: Option<Weight>, batch: &mut Batch) {
        if before != Some(weight) {
            batch.changes.push(Change::SetPodWeight(pod, Some(weight)));
        }
    }

    fn remove(pod: &ObjectName, _told: Weight, batch: &mut Batch) {
        batch.changes.push(Change::SetPodWeight(pod.clone(), None));
    }
}
