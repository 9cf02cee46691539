//! What becomes of a Pod besides the endpoints that it makes.

use std::sync::Arc;

use etm_model::ObjectName;

use super::{differences::Differences, node::ThisNode};
use crate::{convert::Pod, manifest::Object};

/// A Pod has another weight now.
pub(super) fn turn_weight(
    name: &ObjectName,
    before: Option<&Arc<Pod>>,
    after: Option<&Arc<Pod>>,
    differences: &mut Differences,
) {
    let (before, after) = (before.and_then(|pod| pod.weight), after.and_then(|pod| pod.weight));
    if before != after {
        differences.set_weight(name.clone(), after);
    }
}

/// A Pod as a caller of this node.
pub(super) fn caller<'a>(
    pod: Option<&'a Arc<Pod>>,
    node: &ThisNode,
) -> Option<&'a Arc<etm_model::Pod>> {
    let pod = pod?;
    let named = pod.locality.as_ref().and_then(|locality| locality.node.as_deref());
    let here = named.is_none_or(|name| name == node.name());
    pod.caller.as_ref().filter(|_| here)
}

/// The Pod that an object is.
pub(super) fn pod_of(object: &Object) -> Option<&Arc<Pod>> {
    match object {
        Object::Pod(pod) => Some(pod),
        Object::Service(_)
        | Object::Headless(..)
        | Object::EndpointSlice(_)
        | Object::Node(_)
        | Object::TrafficPolicy(_)
        | Object::NodeHealth(_)
        | Object::Routes(..)
        | Object::Release(_)
        | Object::ReferenceGrant(_)
        | Object::Namespace(..) => None,
    }
}
