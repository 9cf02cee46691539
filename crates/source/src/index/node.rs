use std::{net::IpAddr, sync::Arc};

use etm_model::Node;

/// The node of this agent: its interfaces' addresses, and what its manifest says.
#[derive(Debug)]
pub(crate) struct ThisNode {
    name: Arc<str>,
    given: Vec<IpAddr>,
    declared: Node,
    told: Option<Node>,
}

impl ThisNode {
    pub(crate) fn new(name: &str, given: Vec<IpAddr>) -> Self {
        Self { name: name.into(), given, declared: Node::default(), told: None }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn set_given(&mut self, addresses: Vec<IpAddr>) {
        self.given = addresses;
    }

    /// Takes in what a Node's manifest says; other nodes are of no interest.
    pub(crate) fn declare(&mut self, node: &Node) {
        if node.name == self.name {
            self.declared = node.clone();
        }
    }

    /// A Node's manifest is gone.
    pub(crate) fn withdraw(&mut self, name: &str) {
        if *name == *self.name {
            self.declared = Node::default();
        }
    }

    /// The node, where it is not what this last returned.
    pub(crate) fn changed(&mut self) -> Option<Node> {
        let all = self.given.iter().chain(&self.declared.addresses).map(IpAddr::to_canonical);
        let mut addresses: Vec<IpAddr> = all.filter(|ip| !ip.is_loopback()).collect();
        // The order in which interfaces are listed says nothing.
        addresses.sort_unstable();
        addresses.dedup();
        let node = Node { name: Arc::clone(&self.name), addresses, ..self.declared.clone() };
        (self.told.as_ref() != Some(&node)).then(|| self.told.insert(node).clone())
    }
}
