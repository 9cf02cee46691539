//! Which nodes work, by their own signs and by monitors; pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use etm_source::kubernetes::ObservedNode;

use crate::subject::{Ejection, Subject, Subjects};

/// Taints of a node whose Pods are not to be reached.
const TAINTS: [&str; 2] = ["node.kubernetes.io/unreachable", "node.kubernetes.io/out-of-service"];

/// All nodes of a cluster, and what is known of each.
#[derive(Debug, Default)]
pub struct NodeSigns {
    nodes: BTreeMap<Arc<str>, ObservedNode>,
    leases: BTreeMap<Arc<str>, Lease>,
}

#[derive(Debug)]
struct Lease {
    /// When it was last seen to be renewed, by this process' clock: those of nodes may be wrong.
    seen: Instant,
    duration: Duration,
}

/// One thing that is wrong with a node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bad {
    /// Its name.
    pub node: Arc<str>,
    /// What is wrong: `NotReady`, `Tainted`, `LeaseExpired` or `Monitor`.
    pub reason: &'static str,
    /// Which monitor says so.
    pub monitor: Option<Arc<str>>,
    /// The same in words.
    pub message: String,
}

/// Which nodes are to be out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// All that is wrong, ordered by nodes.
    pub bad: Vec<Bad>,
    /// How many nodes there are, and how many of them are bad.
    pub nodes: (usize, usize),
    /// Whether so many are bad that none may be ejected: rather is it who looks at them.
    pub too_many: bool,
}

impl NodeSigns {
    /// Takes in what a Node says; with none it is gone.
    pub fn set_node(&mut self, name: Arc<str>, node: Option<ObservedNode>) {
        match node {
            Some(node) => drop(self.nodes.insert(name, node)),
            None => drop(self.nodes.remove(&name)),
        }
    }

    /// Takes in that a Lease was renewed, for so long; with none it is gone, and says nothing. Says
    /// whether it is a new one, or had run out.
    pub fn set_lease(
        &mut self,
        name: Arc<str>,
        duration: Option<Duration>,
        timeout: Option<Duration>,
        now: Instant,
    ) -> bool {
        let before = match duration {
            Some(duration) => self.leases.insert(name, Lease { seen: now, duration }),
            None => self.leases.remove(&name),
        };
        before.is_none_or(|before| before.expiry(timeout) <= now)
    }

    /// Renewals may have gone unheard: every Lease that had not run out has its whole time again.
    pub fn interrupted(&mut self, timeout: Option<Duration>, now: Instant) {
        for lease in self.leases.values_mut().filter(|lease| lease.expiry(timeout) > now) {
            lease.seen = now;
        }
    }

    /// When the next Lease runs out, unless it is renewed.
    #[must_use]
    pub fn next(&self, timeout: Option<Duration>, now: Instant) -> Option<Instant> {
        let live = self.leases.iter().filter(|(name, _)| self.nodes.contains_key(*name));
        live.map(|(_, lease)| lease.expiry(timeout)).filter(|expiry| *expiry > now).min()
    }

    /// The nodes, as monitors name them.
    #[must_use]
    pub fn subjects(&self) -> Subjects {
        let nodes = self.nodes.iter();
        Subjects::nodes(
            nodes.map(|(name, node): (_, &ObservedNode)| {
                (name, node.addresses.as_slice() as &[IpAddr])
            }),
        )
    }

    /// Which nodes are to be out: those with a bad sign, and those that monitors eject, but none at
    /// all where they are more than so many percent. `timeout` goes before what a Lease says itself.
    #[must_use]
    pub fn verdict(
        &self,
        timeout: Option<Duration>,
        most_percent: u8,
        monitored: &[Ejection],
        now: Instant,
    ) -> Verdict {
        let mut bad: Vec<Bad> = Vec::new();
        for (name, node) in &self.nodes {
            let lease = self.leases.get(name);
            let signs = [
                not_ready(node),
                tainted(node),
                lease.and_then(|lease| lease.expired(timeout, now)),
            ];
            bad.extend(signs.into_iter().flatten().map(|(reason, message)| Bad {
                node: Arc::clone(name),
                reason,
                monitor: None,
                message,
            }));
            let own = monitored.iter().filter(
                |ejection| matches!(&ejection.subject, Subject::Node(node) if node == name),
            );
            bad.extend(own.map(|ejection| Bad {
                node: Arc::clone(name),
                reason: "Monitor",
                monitor: Some(Arc::clone(&ejection.monitor)),
                message: ejection.message.to_string(),
            }));
        }
        let affected: BTreeSet<&Arc<str>> = bad.iter().map(|bad| &bad.node).collect();
        let nodes = (self.nodes.len(), affected.len());
        let too_many = nodes.1 * 100 > nodes.0 * usize::from(most_percent);
        Verdict { bad, nodes, too_many }
    }

    /// How many nodes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }
}

impl Lease {
    fn expiry(&self, timeout: Option<Duration>) -> Instant {
        self.seen + timeout.unwrap_or(self.duration)
    }

    fn expired(&self, timeout: Option<Duration>, now: Instant) -> Option<(&'static str, String)> {
        let duration = timeout.unwrap_or(self.duration);
        (self.expiry(timeout) <= now)
            .then(|| ("LeaseExpired", format!("its Lease was not renewed for {duration:?}")))
    }
}

fn not_ready(node: &ObservedNode) -> Option<(&'static str, String)> {
    let (status, reason) = node.ready.as_ref()?;
    (**status != *"True")
        .then(|| ("NotReady", format!("its condition Ready is {status}: {reason}")))
}

fn tainted(node: &ObservedNode) -> Option<(&'static str, String)> {
    let taint = node.taints.iter().find(|taint| TAINTS.contains(&&***taint))?;
    Some(("Tainted", format!("it has the taint {taint}")))
}

#[cfg(test)]
mod tests;
