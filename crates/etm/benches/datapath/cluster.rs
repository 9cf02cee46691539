//! The Services that are compared: the same ones for etm, nftables and iptables.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use etm_testkit::{Manifests, objects};
use serde_json::Value;

use crate::server::{ECHO, SINK};

/// Services that are called; the others only have to be passed over.
const CALLED: usize = 16;

/// Objects in a file: enough to keep the number of files low, few enough to be read in between.
const PER_FILE: usize = 100;

/// The port of every Service.
pub(crate) const PORT: u16 = 80;

/// What kube-proxy would know of a Service port.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) ip: Ipv4Addr,
    /// `TCP` or `UDP`.
    pub(crate) protocol: &'static str,
    pub(crate) target: u16,
    pub(crate) endpoints: Vec<Ipv4Addr>,
}

/// A number of Services for TCP, and one each for UDP, bulk transfers and refusal.
#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    pub(crate) services: Vec<Service>,
    called: BTreeSet<usize>,
}

impl Cluster {
    /// Spreads the Services that lead to real Pods evenly among `count`; the others have as many
    /// endpoints, which nobody calls.
    pub(crate) fn new(count: usize, pods: &[Ipv4Addr]) -> Self {
        let called: BTreeSet<usize> =
            (0..CALLED).map(|number| number * (count - 1) / (CALLED - 1)).collect();
        let strangers = |number: usize| {
            let first = Ipv4Addr::new(10, 128, 0, 0).to_bits() + (number * pods.len()) as u32;
            (first..).take(pods.len()).map(Ipv4Addr::from_bits).collect()
        };
        let mut services: Vec<Service> = (0..count)
            .map(|number| {
                let real = called.contains(&number);
                let endpoints = if real { pods.to_vec() } else { strangers(number) };
                Service::new(&format!("service-{number}"), number, "TCP", ECHO, endpoints)
            })
            .collect();
        let extra = [
            ("datagrams", "UDP", ECHO, pods.to_vec()),
            ("bulk", "TCP", SINK, pods.to_vec()),
            ("refusing", "TCP", ECHO, Vec::new()),
        ];
        for (number, (name, protocol, target, endpoints)) in extra.into_iter().enumerate() {
            services.push(Service::new(name, count + number, protocol, target, endpoints));
        }
        Self { services, called }
    }

    /// Services of ten endpoints each that nobody calls.
    pub(crate) fn large(count: usize) -> Self {
        let endpoints = |number: usize| {
            let first = Ipv4Addr::new(10, 128, 0, 0).to_bits() + (number * 10) as u32;
            (first..first + 10).map(Ipv4Addr::from_bits).collect()
        };
        let service = |number: usize| {
            Service::new(&format!("service-{number}"), number, "TCP", ECHO, endpoints(number))
        };
        Self { services: (0..count).map(service).collect(), called: BTreeSet::new() }
    }

    /// Services of these names and numbers of endpoints, none of which answers.
    pub(crate) fn named(services: &[(&str, usize)]) -> Self {
        let first = Ipv4Addr::new(10, 128, 0, 0).to_bits();
        let endpoints = |count: usize| (first..).take(count).map(Ipv4Addr::from_bits).collect();
        let services = services.iter().enumerate().map(|(number, (name, count))| {
            Service::new(name, number, "TCP", ECHO, endpoints(*count))
        });
        Self { services: services.collect(), called: BTreeSet::new() }
    }

    /// Where the called TCP Services are reached.
    pub(crate) fn targets(&self) -> Vec<SocketAddr> {
        self.called.iter().map(|number| self.services[*number].address()).collect()
    }

    /// Where the last of the called TCP Services is reached.
    pub(crate) fn last(&self) -> Vec<SocketAddr> {
        self.called.last().map(|number| self.services[*number].address()).into_iter().collect()
    }

    /// Where a Service is reached; by name, of the three extra ones.
    pub(crate) fn target(&self, name: &str) -> Vec<SocketAddr> {
        self.services.iter().filter(|s| s.name == name).map(Service::address).collect()
    }

    /// Writes Services and EndpointSlices, many to a file.
    pub(crate) fn declare(&self, manifests: &Manifests) -> anyhow::Result<()> {
        for (number, services) in self.services.chunks(PER_FILE).enumerate() {
            let objects = services.iter().flat_map(|s| [s.object(), s.slice(s.endpoints.len())]);
            manifests.apply(&format!("{number}.yaml"), &objects.collect::<Vec<Value>>())?;
        }
        Ok(())
    }
}

impl Service {
    fn new(
        name: &str,
        number: usize,
        protocol: &'static str,
        target: u16,
        endpoints: Vec<Ipv4Addr>,
    ) -> Self {
        let ip = Ipv4Addr::from_bits(Ipv4Addr::new(10, 96, 0, 1).to_bits() + number as u32);
        Self { name: name.to_owned(), ip, protocol, target, endpoints }
    }

    /// Where it is reached.
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(self.ip), PORT)
    }

    /// The Service itself.
    pub(crate) fn object(&self) -> Value {
        let ports = objects::Service::new(&self.name, &[self.ip.into()]);
        ports.port("main", self.protocol, PORT, self.target).into()
    }

    /// Its EndpointSlice with the first `count` endpoints.
    pub(crate) fn slice(&self, count: usize) -> Value {
        let slice = objects::EndpointSlice::new(
            &format!("{}-x7k2p", self.name),
            &self.name,
            "IPv4",
        )
        .port("main", self.protocol, self.target);
        let endpoints = self.endpoints.iter().take(count);
        endpoints.fold(slice, |slice, ip| slice.endpoint(*ip, true)).into()
    }
}
