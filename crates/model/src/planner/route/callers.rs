//! Which rules are for which callers.

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet},
    sync::Arc,
};

use crate::{
    object::ObjectName,
    route::{CallerPod, CallerSelector, CallerShare, Route, Rule},
    snapshot::Snapshot,
};

/// Who calls, as far as that is known.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Subject<'a> {
    /// Anyone else.
    Unknown,
    /// A process of the node that is of no Pod.
    Node,
    /// A Pod of the node.
    Pod(&'a ObjectName, &'a CallerPod),
}

impl<'a> Subject<'a> {
    /// A caller of this node; a Pod of which not even the name is known is anyone.
    pub(crate) fn of(caller: Option<&'a CallerPod>) -> Self {
        match caller.and_then(|pod| Some((pod.name.as_ref()?, pod))) {
            Some((name, pod)) => Self::Pod(name, pod),
            None => Self::Unknown,
        }
    }
}

/// Asks rules whether they are for callers.
pub(crate) struct Matcher<'a> {
    snapshot: &'a Snapshot,
    /// The Pods behind Services that rules have asked for.
    members: RefCell<HashMap<&'a ObjectName, HashSet<&'a ObjectName>>>,
}

impl<'a> Matcher<'a> {
    pub(crate) fn new(snapshot: &'a Snapshot) -> Self {
        Self { snapshot, members: RefCell::default() }
    }

    /// Whether a rule of a route is for a caller.
    pub(crate) fn is_for(&self, route: &Route, rule: &'a Rule, who: Subject<'_>) -> bool {
        consumes(route, who)
            && (rule.from.is_empty() || rule.from.iter().any(|from| self.selects(from, who)))
            && rule.share.is_none_or(|share| self.falls_in(share, who))
    }

    fn selects(&self, from: &'a CallerSelector, who: Subject<'_>) -> bool {
        let on_node = || {
            let node = &self.snapshot.node.name;
            from.nodes.as_ref().is_none_or(|nodes| nodes.contains(node))
        };
        match who {
            Subject::Unknown => false,
            Subject::Node => on_node() && !asks_for_pods(from) && self.in_blocks(from),
            Subject::Pod(name, pod) => {
                on_node() && from.blocks.is_none() && self.selects_pod(from, name, pod)
            }
        }
    }

    fn selects_pod(&self, from: &'a CallerSelector, name: &ObjectName, pod: &CallerPod) -> bool {
        let namespace = &name.namespace;
        let labelled = |selector| {
            let labels = self.snapshot.namespaces.get(namespace);
            labels.is_some_and(|labels| crate::route::LabelSelector::matches(selector, labels))
        };
        let lists = |names: &Option<Vec<Arc<str>>>, name| {
            names.as_ref().is_none_or(|names| names.contains(name))
        };
        lists(&from.namespaces, namespace)
            && lists(&from.service_accounts, &pod.service_account)
            && from.namespace_labels.as_ref().is_none_or(labelled)
            && from.pod_labels.as_ref().is_none_or(|selector| selector.matches(&pod.labels))
            && from.members_of.as_ref().is_none_or(|service| self.is_member(service, name, pod))
    }

    fn in_blocks(&self, from: &CallerSelector) -> bool {
        let addresses = || self.snapshot.node.addresses.iter();
        let inside = |block: &ipnet::IpNet| addresses().any(|address| block.contains(address));
        from.blocks.as_ref().is_none_or(|blocks| blocks.iter().any(inside))
    }

    /// Whether a Pod is behind a Service. Its labels tell it before a slice does: another node, which has
    /// heard of the slice first, must not lead calls to a Pod of which this one does not know what it is.
    fn is_member(&self, service: &'a ObjectName, name: &ObjectName, pod: &CallerPod) -> bool {
        let selector = self.snapshot.services.get(service).and_then(|one| one.selector.as_deref());
        let selected = selector.is_some_and(|selector| {
            let mut labels = selector.iter();
            service.namespace == name.namespace
                && labels.all(|(key, value)| pod.labels.get(key) == Some(value))
        });
        selected || self.is_endpoint(service, name)
    }

    fn is_endpoint(&self, service: &'a ObjectName, pod: &ObjectName) -> bool {
        let mut members = self.members.borrow_mut();
        let members = members.entry(service).or_insert_with(|| {
            let slices = self.snapshot.slices.get(service).into_iter().flat_map(|all| all.values());
            let endpoints = slices.flat_map(|slice| &slice.endpoints);
            endpoints.filter_map(|endpoint| endpoint.pod.as_ref()).collect()
        });
        members.contains(pod)
    }

    fn falls_in(&self, share: CallerShare, who: Subject<'_>) -> bool {
        match who {
            Subject::Unknown => share.is_whole(),
            Subject::Node => share.has(&self.snapshot.node.name),
            Subject::Pod(name, _) => share.has(&name.to_string()),
        }
    }
}

/// Whether a route is for a caller at all.
fn consumes(route: &Route, who: Subject<'_>) -> bool {
    route.consumers.as_ref().is_none_or(|namespace| match who {
        Subject::Pod(name, _) => name.namespace == *namespace,
        Subject::Unknown | Subject::Node => false,
    })
}

fn asks_for_pods(from: &CallerSelector) -> bool {
    from.namespaces.is_some()
        || from.namespace_labels.is_some()
        || from.pod_labels.is_some()
        || from.service_accounts.is_some()
        || from.members_of.is_some()
}
