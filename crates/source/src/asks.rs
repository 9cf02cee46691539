//! What else has to be known of the cluster for the sake of routes, and is not looked at otherwise.

use std::{collections::BTreeSet, sync::Arc};

use etm_model::{DestinationRef, ObjectName, Route};

/// What the routes of one object ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asks {
    /// Namespaces whose Pods' labels decide who is of a subset.
    pub(crate) pod_labels: BTreeSet<Arc<str>>,
    /// Whether the labels of namespaces decide for whom a rule is.
    pub(crate) namespace_labels: bool,
    /// Services that connections are led to, of which headless ones are not followed otherwise.
    pub(crate) destinations: BTreeSet<ObjectName>,
}

impl Asks {
    pub(crate) fn of(routes: &[Route]) -> Self {
        let named = routes.iter().flat_map(|route| &route.rules);
        let named = named.flat_map(|rule| rule.action.destinations()).filter_map(|destination| {
            match &destination.to {
                DestinationRef::Service { name, .. } => Some(name.clone()),
                _ => None,
            }
        });
        let divided = routes.iter().filter(|route| {
            let mut to = route.rules.iter().flat_map(|rule| rule.action.destinations());
            to.any(|destination| matches!(destination.to, DestinationRef::Subset(_)))
        });
        let mut selectors =
            routes.iter().flat_map(|route| &route.rules).flat_map(|rule| &rule.from);
        Self {
            pod_labels: divided.map(|route| Arc::clone(&route.target.namespace)).collect(),
            namespace_labels: selectors.any(|selector| selector.namespace_labels.is_some()),
            destinations: named.collect(),
        }
    }

    /// Whether it is nothing.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
