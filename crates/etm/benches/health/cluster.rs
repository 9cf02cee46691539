//! The Service that is called: the same one for etm and nftables.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use etm_testkit::{Manifests, objects};
use serde_json::{Value, json};

use crate::servers::TARGET;

/// The port of the Service.
pub(crate) const PORT: u16 = 80;

const NAME: &str = "web";

/// What kube-proxy would know of a Service port.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) ip: Ipv4Addr,
    pub(crate) protocol: &'static str,
    pub(crate) target: u16,
    pub(crate) endpoints: Vec<Ipv4Addr>,
}

/// One Service.
#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    pub(crate) services: Vec<Service>,
}

impl Cluster {
    /// The Service with these Pods behind it.
    pub(crate) fn new(endpoints: Vec<Ipv4Addr>) -> Self {
        let (name, ip) = (NAME.to_owned(), Ipv4Addr::new(10, 96, 0, 10));
        Self { services: vec![Service { name, ip, protocol: "TCP", target: TARGET, endpoints }] }
    }

    /// Where the Service is reached.
    pub(crate) fn target(&self) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(self.services[0].ip), PORT)
    }

    /// Writes the Service, its EndpointSlice, and what its policy says of health, if anything.
    pub(crate) fn declare(&self, manifests: &Manifests, health: &Value) -> anyhow::Result<()> {
        let Service { name, ip, protocol, target, endpoints } = &self.services[0];
        let service = objects::Service::new(name, &[(*ip).into()]);
        let service = service.port("main", protocol, PORT, *target);
        let slice = objects::EndpointSlice::new(&format!("{name}-x7k2p"), name, "IPv4");
        let slice = slice.port("main", protocol, *target);
        let slice = endpoints.iter().fold(slice, |slice, ip| slice.endpoint(*ip, true));
        let mut all: Vec<Value> = vec![service.into(), slice.into()];
        if !health.is_null() {
            let policy = objects::TrafficPolicy::new(name, json!({}));
            all.push(policy.set("spec.health", health.clone()).into());
        }
        Ok(manifests.apply("web.yaml", &all)?)
    }
}
