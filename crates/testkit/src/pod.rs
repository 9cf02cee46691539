//! A Pod: a namespace that hangs on its node's bridge.

use std::ffi::OsStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::Command;

use crate::namespace::Namespace;
use crate::node::{BRIDGE, Node};
use crate::place::Place;
use crate::{Error, Server};

/// A Pod with an IPv4 and an IPv6 address, which reaches the Pods of its node and the node.
#[derive(Debug)]
pub struct Pod {
    name: String,
    namespace: Namespace,
    ipv4: Ipv4Addr,
    ipv6: Ipv6Addr,
}

impl Pod {
    pub(crate) fn join(
        node: &Node,
        name: &str,
        ipv4: Ipv4Addr,
        ipv6: Ipv6Addr,
        number: u8,
    ) -> Result<Self, Error> {
        let namespace = Namespace::new()?;
        // The pair is made inside the node and its other end at once in the Pod, so no name of a
        // link ever shows on the host.
        node.namespace().ip(&format!(
            "link add pod{number} type veth peer name eth0 netns {}\n\
             link set pod{number} master {BRIDGE} up\n",
            namespace.name(),
        ))?;
        namespace.ip(&format!(
            "addr add {ipv4}/24 dev eth0\n\
             addr add {ipv6}/64 dev eth0 nodad\n\
             link set eth0 up\n{}",
            node.pod_routes(),
        ))?;
        Ok(Self { name: name.to_owned(), namespace, ipv4, ipv6 })
    }

    /// Its name, which its servers answer with.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its IPv4 address.
    #[must_use]
    pub fn ipv4(&self) -> Ipv4Addr {
        self.ipv4
    }

    /// Its IPv6 address.
    #[must_use]
    pub fn ipv6(&self) -> Ipv6Addr {
        self.ipv6
    }

    /// A port at both its addresses, IPv4 first.
    #[must_use]
    pub fn at(&self, port: u16) -> [SocketAddr; 2] {
        [IpAddr::V4(self.ipv4), IpAddr::V6(self.ipv6)].map(|ip| SocketAddr::new(ip, port))
    }

    /// Its network as a place for processes.
    #[must_use]
    pub fn place(&self) -> Place {
        self.namespace.place()
    }

    /// Its network, for changes with `ip`.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// A program that will run in this Pod.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        self.namespace.command(program)
    }

    /// Starts a server on these ports, over IPv4 and IPv6; it ends when the handle is dropped.
    ///
    /// # Errors
    ///
    /// [`Error::NotReady`], for one when a port is taken.
    pub fn serve(&self, tcp: &[u16], udp: &[u16]) -> Result<Server, Error> {
        Server::start(&self.place(), &self.name, tcp, udp)
    }
}
