//! How many sockets were ended that still pointed at a Pod that is gone, ejected or of an old version.

use etm_model::Protocol;
use prometheus_client::{
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

/// Why sockets are ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Stale {
    /// No slice of the Service has the Pod as one that serves.
    Gone,
    /// It was taken out of service.
    Ejected,
    /// A release has led everyone away from it.
    Released,
}

/// Sockets that were ended.
#[derive(Debug, Default)]
pub(super) struct Ended(Family<[(&'static str, &'static str); 2], Counter>);

impl Ended {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let ended = Self::default();
        registry.register(
            "stale_sockets_ended",
            "Sockets that were ended since they still pointed at a Pod that is gone, ejected, or of a \
             version that a release has led everyone away from",
            ended.0.clone(),
        );
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            for why in [Stale::Gone, Stale::Ejected, Stale::Released] {
                ended.count(protocol, why, 0);
            }
        }
        ended
    }

    /// So many more were ended.
    pub(super) fn count(&self, protocol: Protocol, why: Stale, count: u64) {
        let protocol = if protocol == Protocol::Udp { "UDP" } else { "TCP" };
        let why = match why {
            Stale::Gone => "gone",
            Stale::Ejected => "ejected",
            Stale::Released => "released",
        };
        self.0.get_or_create(&[("protocol", protocol), ("reason", why)]).inc_by(count);
    }
}
