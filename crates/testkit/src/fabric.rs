//! What joins nodes into one network.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::Error;
use crate::namespace::Namespace;
use crate::node::{BRIDGE, Node};

/// A switch that nodes are plugged into, so that Pods reach those of other nodes.
///
/// The bridges of the nodes become one network, in which every Pod is a neighbour: nothing is
/// routed, and still no default route leads anywhere.
#[derive(Debug)]
pub struct Fabric {
    namespace: Namespace,
    next: AtomicU32,
}

impl Fabric {
    /// A switch without nodes.
    ///
    /// # Errors
    ///
    /// [`Error::Command`] with the words of `ip`.
    pub fn new() -> Result<Self, Error> {
        let namespace = Namespace::new()?;
        namespace.ip(&format!("link add {BRIDGE} type bridge\nlink set {BRIDGE} up\n"))?;
        Ok(Self { namespace, next: AtomicU32::new(0) })
    }

    /// Plugs a node in: it and the Pods that it gets from now on reach those of the other nodes.
    ///
    /// # Errors
    ///
    /// [`Error::Command`] with the words of `ip`, for one when it is plugged in already.
    pub fn join(&self, node: &Node) -> Result<(), Error> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.namespace.ip(&format!(
            "link add node{number} type veth peer name fabric netns {}\n\
             link set node{number} master {BRIDGE} up\n",
            node.namespace().name(),
        ))?;
        node.namespace()
            .ip(&format!("link set fabric master {BRIDGE} up\n{}", neighbours(BRIDGE)))?;
        node.route_pods(neighbours("eth0"));
        Ok(())
    }
}

/// The addresses of all Pods are on the link itself.
fn neighbours(link: &str) -> String {
    format!("route add 10.244.0.0/16 dev {link}\nroute add fd00:10:244::/48 dev {link}\n")
}
