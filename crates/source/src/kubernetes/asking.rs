//! Who asks for what else has to be known of the cluster.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use etm_model::{ObjectName, RouteOwner};

use super::kind::Batch;
use crate::asks::Asks;

/// The objects that ask for more than what is watched anyway.
#[derive(Debug, Default)]
pub(super) struct Asking {
    /// Policies that weigh Pods by their annotation.
    policies: BTreeSet<ObjectName>,
    routes: BTreeMap<RouteOwner, Asks>,
    /// Objects with routes.
    routed: BTreeSet<RouteOwner>,
}

impl Asking {
    /// Takes in who asks now; says whether that is another than before.
    pub(super) fn take(&mut self, batch: &mut Batch) -> bool {
        let any = !batch.asking.is_empty() || !batch.asking_routes.is_empty();
        for (policy, asks) in batch.asking.drain(..) {
            if asks {
                self.policies.insert(policy);
            } else {
                self.policies.remove(&policy);
            }
        }
        for (owner, asks) in batch.asking_routes.drain(..) {
            match asks {
                Some(asks) => {
                    self.routed.insert(owner.clone());
                    self.routes.insert(owner.clone(), asks);
                }
                None => {
                    self.routed.remove(&owner);
                    self.routes.remove(&owner);
                }
            }
            self.routes.retain(|_, asks| !asks.is_empty());
        }
        any
    }

    /// Namespaces whose Pods' annotations weigh.
    pub(super) fn weights(&self) -> BTreeSet<Arc<str>> {
        self.policies.iter().map(|policy| Arc::clone(&policy.namespace)).collect()
    }

    /// Namespaces whose Pods' labels decide who is of a subset.
    pub(super) fn labels(&self) -> BTreeSet<Arc<str>> {
        self.routes.values().flat_map(|asks| &asks.pod_labels).cloned().collect()
    }

    /// Services that routes lead to and that are not among those with addresses: headless ones, and
    /// such as are not there.
    pub(super) fn headless(
        &self,
        has_address: impl Fn(&ObjectName) -> bool,
    ) -> BTreeSet<&ObjectName> {
        let named = self.routes.values().flat_map(|asks| &asks.destinations);
        named.filter(|service| !has_address(service)).collect()
    }

    /// Whether labels of namespaces decide for whom a rule is.
    pub(super) fn namespaces(&self) -> bool {
        self.routes.values().any(|asks| asks.namespace_labels)
    }

    /// Whether there is any route.
    pub(super) fn any_route(&self) -> bool {
        !self.routed.is_empty()
    }
}
