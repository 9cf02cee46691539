//! The members of one port of a Service.

use std::{cmp::Reverse, collections::BTreeMap, sync::Arc};

use etm_abi::MAX_MEMBERS;

use super::balance::Weights;
use crate::{
    object::{
        Endpoint, EndpointSlice, Family, Locality, Node, ObjectName, ServicePort, TrafficPolicy,
    },
    plan::{BackendKey, Member, Pool},
};

/// The slices of one Service, by name.
pub(super) type Slices = BTreeMap<Arc<str>, Arc<EndpointSlice>>;

/// The pools of one port and family; none in place of one that is larger than a table may be.
pub(super) struct Pools {
    /// That of policy `Cluster`; empty where no place asks for it.
    pub(super) cluster: Option<Pool>,
    /// That of policy `Local`; empty where no place asks for it.
    pub(super) local: Option<Pool>,
    /// That of policy `Local` is empty, and there are endpoints on other nodes.
    pub(super) elsewhere: bool,
}

impl Pools {
    pub(super) const fn of(&self, policy: TrafficPolicy) -> Option<&Pool> {
        match policy {
            TrafficPolicy::Cluster => self.cluster.as_ref(),
            TrafficPolicy::Local => self.local.as_ref(),
        }
    }

    pub(super) const fn at(&mut self, policy: TrafficPolicy) -> &mut Option<Pool> {
        match policy {
            TrafficPolicy::Cluster => &mut self.cluster,
            TrafficPolicy::Local => &mut self.local,
        }
    }
}

impl Default for Pools {
    /// Pools without members.
    fn default() -> Self {
        Self { cluster: Some(Pool::default()), local: Some(Pool::default()), elsewhere: false }
    }
}

/// How usable an endpoint is, the most usable first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Usability {
    Ready,
    /// Serving although it terminates: used only where nothing is ready (KEP-1669).
    Draining,
}

impl Usability {
    fn of(endpoint: &Endpoint) -> Option<Self> {
        if endpoint.ready {
            Some(Self::Ready)
        } else if endpoint.serving && endpoint.terminating {
            Some(Self::Draining)
        } else {
            None
        }
    }
}

/// One mention of a backend in a slice; the order puts the mention to keep first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Mention<'a> {
    backend: BackendKey,
    usability: Usability,
    /// A mention with a Pod tells more than one without.
    nameless: bool,
    pod: Option<&'a ObjectName>,
    /// Likewise, one with a node or hints.
    locality: Reverse<Option<&'a Locality>>,
}

impl Mention<'_> {
    fn is_on(&self, node: &Node) -> bool {
        let named = self.locality.0.and_then(|locality| locality.node.as_deref());
        named.is_some_and(|name| *name == *node.name)
    }

    fn hints(&self, hints: Hints) -> &[Box<str>] {
        self.locality.0.map(hints).unwrap_or_default()
    }
}

/// The usable endpoints of one port and family, ordered by backend, each once.
pub(super) struct Endpoints<'a> {
    mentions: Vec<Mention<'a>>,
    weights: &'a Weights<'a>,
}

impl<'a> Endpoints<'a> {
    pub(super) fn new(
        slices: &'a Slices,
        port: &'a ServicePort,
        family: Family,
        weights: &'a Weights<'a>,
    ) -> Self {
        let mut mentions: Vec<_> = slices
            .values()
            .filter(|slice| slice.family == family)
            .flat_map(|slice| mentions(slice, port))
            .filter(|mention| Family::of(mention.backend.ip) == family)
            .collect();
        mentions.sort_unstable();
        mentions.dedup_by_key(|mention| mention.backend);
        Self { mentions, weights }
    }

    /// Only those of some Pods.
    pub(super) fn of_pods(mut self, is_meant: impl Fn(&ObjectName) -> bool) -> Self {
        self.mentions.retain(|mention| mention.pod.is_some_and(&is_meant));
        self
    }

    /// Those of policy `Cluster`: the ready ones that hints let this node use, or where none is
    /// ready, those anywhere that still serve while they terminate.
    pub(super) fn cluster(&self, node: &Node) -> Vec<Member> {
        let mut best = best(self.mentions.iter().copied());
        if best.first().is_some_and(|mention| mention.usability == Usability::Ready) {
            follow_hints(&mut best, node);
        }
        self.members(best)
    }

    /// Those of policy `Local`: the ready ones on this node, or where none is, those on it that
    /// still serve while they terminate. Hints say nothing about them.
    pub(super) fn local(&self, node: &Node) -> Vec<Member> {
        let local = self.mentions.iter().filter(|mention| mention.is_on(node));
        self.members(best(local.copied()))
    }

    /// Whether there is none anywhere.
    pub(super) fn is_empty(&self) -> bool {
        self.mentions.is_empty()
    }

    fn members(&self, mentions: Vec<Mention<'_>>) -> Vec<Member> {
        let members = mentions.into_iter().map(|mention| Member {
            backend: mention.backend,
            pod: mention.pod.cloned(),
            weight: self.weights.of(mention.backend.ip, mention.pod),
        });
        members.collect()
    }
}

/// The most usable ones.
fn best<'a>(mentions: impl Iterator<Item = Mention<'a>> + Clone) -> Vec<Mention<'a>> {
    let Some(best) = mentions.clone().map(|mention| mention.usability).min() else {
        return Vec::new();
    };
    mentions.filter(|mention| mention.usability == best).collect()
}

/// The names in one kind of hints.
type Hints = fn(&Locality) -> &[Box<str>];

/// Drops what is meant for other nodes or else, by zones, for others than this node's (KEP-3015).
fn follow_hints(mentions: &mut Vec<Mention<'_>>, node: &Node) {
    let followed = keep_hinted(mentions, |locality| &locality.for_nodes, &node.name);
    if let (false, Some(zone)) = (followed, &node.zone) {
        keep_hinted(mentions, |locality| &locality.for_zones, zone);
    }
}

/// Keeps those with a hint of this name; `false` where there is none, or where some have no such
/// hint at all: they are being written, or no longer meant to count.
fn keep_hinted(mentions: &mut Vec<Mention<'_>>, hints: Hints, name: &str) -> bool {
    let all = mentions.iter().all(|mention| !mention.hints(hints).is_empty());
    let is_hinted = |mention: &Mention<'_>| mention.hints(hints).iter().any(|hint| **hint == *name);
    let followed = all && mentions.iter().any(is_hinted);
    if followed {
        mentions.retain(is_hinted);
    }
    followed
}

/// The usable endpoints of one slice on its ports of the same name and protocol.
fn mentions<'a>(
    slice: &'a EndpointSlice,
    port: &'a ServicePort,
) -> impl Iterator<Item = Mention<'a>> {
    endpoints(slice, port).filter_map(|(backend, endpoint)| {
        Some(Mention {
            backend,
            usability: Usability::of(endpoint)?,
            nameless: endpoint.pod.is_none(),
            pod: endpoint.pod.as_ref(),
            locality: Reverse(endpoint.locality.as_deref()),
        })
    })
}

/// All endpoints of one slice, usable or not, on its ports of the same name and protocol.
pub(super) fn endpoints<'a>(
    slice: &'a EndpointSlice,
    port: &'a ServicePort,
) -> impl Iterator<Item = (BackendKey, &'a Endpoint)> {
    let targets = slice.ports.iter();
    targets.filter(|target| target.name == port.name && target.protocol == port.protocol).flat_map(
        |target| {
            let (port, protocol) = (target.port, target.protocol);
            slice.endpoints.iter().map(move |endpoint| {
                (BackendKey { ip: endpoint.address, port, protocol }, endpoint)
            })
        },
    )
}

/// What is told of a port with more members than one table may have.
pub(super) fn too_many(port: &ServicePort, members: usize) -> (String, String) {
    let name = if port.name.is_empty() { "" } else { &format!("{}, ", port.name) };
    let reason = format!(
        "port {} ({name}{}) has {members} usable endpoints, more than the {MAX_MEMBERS} that one \
         table may have",
        port.port, port.protocol
    );
    let hint = "spread the Pods over several Services; until then its frontends stay as they were";
    (reason, hint.into())
}
