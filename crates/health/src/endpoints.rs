//! From EndpointSlices to what a tracker is told of endpoints.

use std::sync::Arc;

use etm_model::{BackendKey, Endpoint, EndpointSlice, ServicePort};

use crate::service::{EndpointHealth, Readiness};

impl Readiness {
    /// What an endpoint's conditions say.
    #[must_use]
    pub const fn of(endpoint: &Endpoint) -> Self {
        match endpoint {
            Endpoint { terminating: true, .. } => Self::Terminating,
            Endpoint { ready: true, .. } => Self::Ready,
            _ => Self::NotReady,
        }
    }
}

/// The endpoints of a Service port, those that may not be used too; with the number that a port of
/// the Service has at each, where one is named.
pub fn endpoints<'a>(
    slices: impl IntoIterator<Item = &'a EndpointSlice>,
    port: &'a ServicePort,
    probe_port: Option<&'a str>,
) -> impl Iterator<Item = EndpointHealth> {
    slices.into_iter().flat_map(move |slice| {
        // Probes go over TCP, whatever the port is for.
        let asked = slice.ports.iter().find(|target| Some(&*target.name) == probe_port);
        let probe_port = asked.map(|target| target.port);
        let joined = |target: &&etm_model::SlicePort| {
            target.name == port.name && target.protocol == port.protocol
        };
        slice.ports.iter().filter(joined).flat_map(move |target| {
            slice.endpoints.iter().map(move |endpoint| EndpointHealth {
                backend: BackendKey {
                    ip: endpoint.address,
                    port: target.port,
                    protocol: target.protocol,
                },
                pod: endpoint.pod.clone(),
                node: node(endpoint),
                readiness: Readiness::of(endpoint),
                probe_port,
            })
        })
    })
}

fn node(endpoint: &Endpoint) -> Option<Arc<str>> {
    let node = endpoint.locality.as_ref().and_then(|locality| locality.node.as_deref());
    node.map(Arc::from)
}

#[cfg(test)]
mod tests {
    use etm_model::{Family, Locality, ObjectName, Protocol, SlicePort};

    use super::*;

    #[test]
    fn endpoints_are_joined_by_port_and_told_with_their_conditions() {
        let port =
            |name: &str, port| SlicePort { name: name.into(), protocol: Protocol::Tcp, port };
        let endpoint = |last: u8, ready, terminating| Endpoint {
            address: [10, 1, 0, last].into(),
            ready,
            serving: ready,
            terminating,
            pod: Some(ObjectName::new("shop", format!("web-{last}"))),
            locality: Some(Arc::new(Locality { node: Some("a".into()), ..Locality::default() })),
        };
        let slice = EndpointSlice {
            name: ObjectName::new("shop", "web-x"),
            service: "web".into(),
            family: Family::V4,
            ports: vec![port("http", 8_080), port("admin", 9_000)],
            endpoints: vec![
                endpoint(1, true, false),
                endpoint(2, false, false),
                endpoint(3, false, true),
            ],
        };
        let service = |name: &str| ServicePort {
            name: name.into(),
            protocol: Protocol::Tcp,
            port: 80,
            node_port: None,
        };
        let http = service("http");
        let told: Vec<_> = endpoints([&slice], &http, Some("admin")).collect();
        let readiness: Vec<_> = told.iter().map(|endpoint| endpoint.readiness).collect();
        assert_eq!(readiness, [Readiness::Ready, Readiness::NotReady, Readiness::Terminating]);
        let first = told.first().unwrap();
        assert_eq!((first.backend.port, first.probe_port), (8_080, Some(9_000)));
        assert_eq!(first.node.as_deref(), Some("a"));
        assert_eq!(endpoints([&slice], &http, None).next().unwrap().probe_port, None);
        assert_eq!(endpoints([&slice], &service("other"), None).count(), 0);
    }
}
