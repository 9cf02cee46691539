//! A node: a namespace with a bridge that its Pods hang on.

use std::ffi::OsStr;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::namespace::Namespace;
use crate::place::Place;
use crate::pod::Pod;
use crate::{Error, Server};

/// A node of a cluster: its host network, the Pod network's bridge, and room for Pods.
///
/// Addresses repeat from node to node; they cannot meet unless a [`Fabric`](crate::Fabric) joins
/// their namespaces.
#[derive(Debug)]
pub struct Node {
    namespace: Namespace,
    /// The first address of its `/24`.
    subnet4: Ipv4Addr,
    /// The first address of its `/64`.
    subnet6: Ipv6Addr,
    /// The last byte of the next Pod's addresses.
    next: AtomicU8,
    /// What its Pods need to reach those of other nodes.
    pod_routes: OnceLock<String>,
}

impl Node {
    /// A node with the Pod network `10.244.0.0/24` and `fd00:10:244::/64`.
    ///
    /// # Errors
    ///
    /// [`Error::Command`] with the words of `ip`.
    pub fn new() -> Result<Self, Error> {
        Self::numbered(0)
    }

    /// A node with the Pod network `10.244.N.0/24` and `fd00:10:244:N::/64`.
    ///
    /// # Errors
    ///
    /// [`Error::Command`] with the words of `ip`.
    pub fn numbered(subnet: u8) -> Result<Self, Error> {
        let (subnet4, subnet6) =
            (Ipv4Addr::new(10, 244, subnet, 0), [0xfd00, 0x10, 0x244, subnet.into(), 0, 0, 0, 0]);
        Self::with_subnets(subnet4, subnet6.into())
    }

    /// A node with these Pod networks, a `/24` and a `/64`, given by their first addresses.
    ///
    /// # Errors
    ///
    /// [`Error::Command`] with the words of `ip`.
    pub fn with_subnets(subnet4: Ipv4Addr, subnet6: Ipv6Addr) -> Result<Self, Error> {
        let (namespace, next) = (Namespace::new()?, AtomicU8::new(2));
        let node = Self { namespace, subnet4, subnet6, next, pod_routes: OnceLock::new() };
        // Without a wait for duplicate addresses, which takes IPv6 more than a second.
        node.namespace.ip(&format!(
            "link add {BRIDGE} type bridge\n\
             link set {BRIDGE} up\n\
             addr add {}/24 dev {BRIDGE}\n\
             addr add {}/64 dev {BRIDGE} nodad\n",
            node.ipv4(),
            node.ipv6(),
        ))?;
        Ok(node)
    }

    /// Lines of `ip -batch` that each Pod from now on runs in its namespace.
    pub(crate) fn route_pods(&self, lines: String) {
        let _ = self.pod_routes.set(lines);
    }

    pub(crate) fn pod_routes(&self) -> &str {
        self.pod_routes.get().map_or("", String::as_str)
    }

    /// Adds a Pod with a namespace and addresses of its own.
    ///
    /// # Errors
    ///
    /// [`Error::NodeFull`] after 253 Pods, [`Error::Command`] with the words of `ip`.
    pub fn pod(&self, name: &str) -> Result<Pod, Error> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        if number < 2 || number == u8::MAX {
            self.next.store(u8::MAX, Ordering::Relaxed);
            return Err(Error::NodeFull { node: self.namespace.name().to_owned() });
        }
        Pod::join(self, name, self.ipv4_of(number), self.ipv6_of(number), number)
    }

    /// The node's own address in the Pod network.
    #[must_use]
    pub fn ipv4(&self) -> Ipv4Addr {
        self.ipv4_of(1)
    }

    /// The node's own address in the Pod network.
    #[must_use]
    pub fn ipv6(&self) -> Ipv6Addr {
        self.ipv6_of(1)
    }

    /// Its host network as a place for processes.
    #[must_use]
    pub fn place(&self) -> Place {
        self.namespace.place()
    }

    /// Its host network, for changes with `ip`.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// A program that will run in the host network of this node.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        self.namespace.command(program)
    }

    /// Starts a server in the host network, as a Pod with `hostNetwork` does.
    ///
    /// # Errors
    ///
    /// [`Error::NotReady`], for one when a port is taken.
    pub fn serve(&self, name: &str, tcp: &[u16], udp: &[u16]) -> Result<Server, Error> {
        Server::start(&self.place(), name, tcp, udp)
    }

    fn ipv4_of(&self, number: u8) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.subnet4.to_bits() | u32::from(number))
    }

    fn ipv6_of(&self, number: u8) -> Ipv6Addr {
        Ipv6Addr::from_bits(self.subnet6.to_bits() | u128::from(number))
    }
}

/// The bridge of every node; names of links are per namespace.
pub(crate) const BRIDGE: &str = "pods";
