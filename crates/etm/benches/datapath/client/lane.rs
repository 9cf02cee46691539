//! One of the ways that are compared.

use std::{
    fs::{self, File},
    net::SocketAddr,
    os::fd::{AsFd as _, OwnedFd},
    path::PathBuf,
};

use anyhow::Context as _;
use rustix::{
    net::{AddressFamily, SocketFlags, SocketType, socket_with},
    thread::{LinkNameSpaceType, move_into_link_name_space},
};
use serde::{Deserialize, Serialize};

/// A way to reach a Pod: where its sockets are made, and whom they call.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Lane {
    pub(crate) name: String,
    /// Network namespace that its sockets are made in.
    pub(crate) namespace: PathBuf,
    /// Cgroup that its sockets are made in.
    pub(crate) cgroup: PathBuf,
    /// Called in turn.
    pub(crate) targets: Vec<SocketAddr>,
    /// The errno that each call fails with, if it is to fail.
    pub(crate) errno: Option<i32>,
}

impl Lane {
    /// Moves this process to where the lane's sockets are made. A socket stays in the namespace and
    /// the cgroup in which it was made, so calls of many lanes can take turns without a move
    /// between them.
    pub(crate) fn enter(&self) -> anyhow::Result<()> {
        let process = std::process::id().to_string();
        fs::write(self.cgroup.join("cgroup.procs"), process)
            .with_context(|| format!("enter cgroup {}", self.cgroup.display()))?;
        let namespace = File::open(&self.namespace)
            .with_context(|| format!("open namespace {}", self.namespace.display()))?;
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
            .with_context(|| format!("enter namespace {}", self.namespace.display()))?;
        Ok(())
    }

    /// Whether the sockets of both are made in the same place.
    pub(crate) fn is_beside(&self, other: &Self) -> bool {
        (&self.namespace, &self.cgroup) == (&other.namespace, &other.cgroup)
    }

    /// The target of its `number`th call.
    pub(crate) fn target(&self, number: usize) -> SocketAddr {
        self.targets[number % self.targets.len()]
    }
}

/// A socket for IPv4.
pub(crate) fn socket(kind: SocketType) -> anyhow::Result<OwnedFd> {
    Ok(socket_with(AddressFamily::INET, kind, SocketFlags::CLOEXEC, None)?)
}

/// The order in which lanes take their turn: each comes as often after each other one, since who
/// comes after a costly one finds colder caches.
pub(crate) fn order(lanes: usize, turn: usize) -> impl Iterator<Item = usize> {
    // Steps of every length that visits all lanes, from every start.
    let steps: Vec<usize> = (1..=lanes).filter(|step| coprime(*step, lanes)).collect();
    let (start, step) = (turn % lanes, steps[(turn / lanes) % steps.len()]);
    (0..lanes).map(move |number| (start + number * step) % lanes)
}

fn coprime(a: usize, b: usize) -> bool {
    if b == 0 { a == 1 } else { coprime(b, a % b) }
}
