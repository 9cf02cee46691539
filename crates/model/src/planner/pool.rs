//! The members of one port of a Service.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    object::{Endpoint, EndpointSlice, Family, ObjectName, ServicePort},
    plan::{BackendKey, Member},
};

/// The slices of one Service, by name.
pub(super) type Slices = BTreeMap<Arc<str>, Arc<EndpointSlice>>;

/// How usable an endpoint is, the most usable first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Usability {
    Ready,
    /// Serving although it terminates: used only where nothing is ready.
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
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Mention<'a> {
    backend: BackendKey,
    usability: Usability,
    /// A mention with a Pod tells more than one without.
    nameless: bool,
    pod: Option<&'a ObjectName>,
}

/// The members of one port and family: the ready endpoints, or where there are none, those that
/// still serve while they terminate; ordered by backend, each once.
pub(super) fn members(slices: &Slices, port: &ServicePort, family: Family) -> Vec<Member> {
    let mut mentions: Vec<_> = slices
        .values()
        .filter(|slice| slice.family == family)
        .flat_map(|slice| mentions(slice, port))
        .filter(|mention| Family::of(mention.backend.ip) == family)
        .collect();
    mentions.sort_unstable();
    mentions.dedup_by_key(|mention| mention.backend);
    let Some(best) = mentions.iter().map(|mention| mention.usability).min() else {
        return Vec::new();
    };
    mentions
        .into_iter()
        .filter(|mention| mention.usability == best)
        .map(|mention| Member { backend: mention.backend, pod: mention.pod.cloned() })
        .collect()
}

/// The usable endpoints of one slice on its ports of the same name and protocol.
fn mentions<'a>(
    slice: &'a EndpointSlice,
    port: &'a ServicePort,
) -> impl Iterator<Item = Mention<'a>> {
    slice
        .ports
        .iter()
        .filter(|target| target.name == port.name && target.protocol == port.protocol)
        .flat_map(|target| {
            slice.endpoints.iter().filter_map(|endpoint| {
                Some(Mention {
                    backend: BackendKey {
                        ip: endpoint.address,
                        port: target.port,
                        protocol: target.protocol,
                    },
                    usability: Usability::of(endpoint)?,
                    nameless: endpoint.pod.is_none(),
                    pod: endpoint.pod.as_ref(),
                })
            })
        })
}
