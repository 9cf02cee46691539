//! What the manifests describe: the Pods to start, and the addresses to call.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
    path::Path,
};

use anyhow::{Context as _, bail};
use etm_model::{Family, Protocol, Snapshot};
use etm_source::{Manifests, Options};

/// A Pod that a manifest names.
#[derive(Default)]
pub(crate) struct Member {
    pub(crate) addresses: BTreeSet<IpAddr>,
    pub(crate) tcp: BTreeSet<u16>,
    pub(crate) udp: BTreeSet<u16>,
}

/// The manifests as the agent understands them, since the same code reads them.
pub(crate) struct Cast {
    snapshot: Snapshot,
}

impl Cast {
    /// Reads a directory.
    pub(crate) fn read(directory: &Path) -> anyhow::Result<Self> {
        // The directory is opened for being followed, which takes a runtime.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let _entered = runtime.enter();
        let (_, snapshot, problems) = Manifests::open(directory, Options::default())?;
        if let Some(problem) = problems.first() {
            bail!("{}: {problem}", directory.display());
        }
        Ok(Self { snapshot })
    }

    /// Every Pod that is an endpoint of a Service, ready or not, with the ports it listens on.
    pub(crate) fn members(&self) -> BTreeMap<String, Member> {
        let mut members: BTreeMap<String, Member> = BTreeMap::new();
        for slice in self.snapshot.slices.values().flat_map(BTreeMap::values) {
            for endpoint in &slice.endpoints {
                let Some(pod) = &endpoint.pod else { continue };
                let member = members.entry(pod.name.to_string()).or_default();
                member.addresses.insert(endpoint.address);
                for port in &slice.ports {
                    match port.protocol {
                        Protocol::Tcp => member.tcp.insert(port.port),
                        Protocol::Udp => member.udp.insert(port.port),
                        Protocol::Sctp => false,
                    };
                }
            }
        }
        members
    }

    /// Where clients reach a Service.
    pub(crate) fn service(
        &self,
        name: &str,
        family: Family,
        protocol: Protocol,
    ) -> anyhow::Result<SocketAddr> {
        let mut services = self.snapshot.services.values();
        let service = services.find(|service| &*service.name.name == name);
        let service = service.with_context(|| format!("no manifest has a Service {name}"))?;
        let ip = service.addresses.iter().map(|a| a.ip).find(|ip| Family::of(*ip) == family);
        let port = service.ports.iter().find(|port| port.protocol == protocol);
        match (ip, port) {
            (Some(ip), Some(port)) => Ok(SocketAddr::new(ip, port.port)),
            _ => bail!("Service {name} has no {family:?} address with a {protocol} port"),
        }
    }

    /// Where a Service's Pods listen themselves, those that are ready.
    pub(crate) fn endpoints(
        &self,
        service: &str,
        family: Family,
        protocol: Protocol,
    ) -> BTreeMap<SocketAddr, String> {
        let slices = self.snapshot.slices.values().flat_map(BTreeMap::values);
        let slices = slices.filter(|slice| &*slice.service == service && slice.family == family);
        let mut found = BTreeMap::new();
        for slice in slices {
            let ports = slice.ports.iter().filter(|port| port.protocol == protocol);
            for port in ports {
                for endpoint in slice.endpoints.iter().filter(|endpoint| endpoint.ready) {
                    let pod = endpoint.pod.as_ref().map(|pod| pod.name.to_string());
                    let address = SocketAddr::new(endpoint.address, port.port);
                    found.insert(address, pod.unwrap_or_default());
                }
            }
        }
        found
    }
}
