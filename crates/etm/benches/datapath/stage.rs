//! What is measured on: a node with two serving Pods, and clients of every kind.

use std::{
    env,
    io::{BufRead as _, BufReader},
    net::{Ipv4Addr, SocketAddr},
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, ensure};
use etm_testkit::{Cgroup, Namespace, Node, Pod};
use rustix::io::Errno;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    client::{Lane, Plan, Sample, counted},
    cluster::Cluster,
    covered::Covered,
    netfilter,
    server::{ECHO, SINK},
};

/// The node with all that the sections share.
pub(crate) struct Stage {
    _servers: Vec<Serving>,
    pods: Vec<Pod>,
    /// A client with no packet filter at all.
    client: Pod,
    /// A namespace from which no Pod is reached.
    island: Namespace,
    /// A cgroup that no agent covers.
    bare: Cgroup,
    node: Node,
}

/// A client whose Services are a packet filter's.
pub(crate) struct Filtered {
    pod: Pod,
}

struct Serving(Child);

impl Stage {
    /// Builds it.
    pub(crate) fn build() -> anyhow::Result<Self> {
        let node = Node::new()?;
        let pods = (0..2).map(|number| node.pod(&format!("server-{number}")));
        let pods = pods.collect::<Result<Vec<_>, _>>()?;
        let servers = pods.iter().map(Serving::start).collect::<anyhow::Result<_>>()?;
        let client = node.pod("client")?;
        Ok(Self {
            _servers: servers,
            pods,
            client,
            island: Namespace::new()?,
            bare: Cgroup::new()?,
            node,
        })
    }

    /// So many Services, leading to the serving Pods.
    pub(crate) fn cluster(&self, services: usize) -> Cluster {
        Cluster::new(services, &self.pods.iter().map(Pod::ipv4).collect::<Vec<Ipv4Addr>>())
    }

    /// An agent that serves so many Services to a cgroup of its own.
    pub(crate) fn covered(&self, services: usize) -> anyhow::Result<Covered> {
        Covered::start(self.cluster(services))
    }

    /// Calls a Service through etm from a Pod, from where no Pod is reached.
    pub(crate) fn called_from_pod(&self, covered: &Covered, name: &str) -> anyhow::Result<Lane> {
        let targets = covered.cluster.target(name);
        self.cut_off(&lane(name, &self.client, covered.client()?, targets)?)
    }

    /// A client with kube-proxy's nftables rules for so many Services.
    pub(crate) fn nftables(&self, services: usize) -> anyhow::Result<Filtered> {
        let pod = self.node.pod("nftables")?;
        netfilter::load_nftables(&pod, &self.cluster(services))?;
        Ok(Filtered { pod })
    }

    /// A client with kube-proxy's iptables rules for so many Services.
    pub(crate) fn iptables(&self, services: usize) -> anyhow::Result<Filtered> {
        let pod = self.node.pod("iptables")?;
        netfilter::load_iptables(&pod, &self.cluster(services))?;
        Ok(Filtered { pod })
    }

    /// Calls the Pods themselves, without any program at the hooks.
    pub(crate) fn bare(&self) -> anyhow::Result<Lane> {
        lane("bare", &self.client, &self.bare, self.at(ECHO))
    }

    /// The cgroup that [`Self::bare`] calls from.
    pub(crate) fn bare_cgroup(&self) -> &Cgroup {
        &self.bare
    }

    /// Calls the Pods themselves, from a cgroup that an agent covers.
    pub(crate) fn direct(&self, covered: &Covered) -> anyhow::Result<Lane> {
        lane("direct", &self.client, covered.cgroup(), self.at(ECHO))
    }

    /// The same, for bulk transfers.
    pub(crate) fn direct_bulk(&self, covered: &Covered) -> anyhow::Result<Lane> {
        lane("direct", &self.client, covered.cgroup(), self.at(SINK))
    }

    /// Calls Services through etm.
    pub(crate) fn through(
        &self,
        covered: &Covered,
        targets: Vec<SocketAddr>,
    ) -> anyhow::Result<Lane> {
        lane("etm", &self.client, covered.cgroup(), targets)
    }

    /// Calls Services through a packet filter.
    pub(crate) fn filtered(
        &self,
        filtered: &Filtered,
        targets: Vec<SocketAddr>,
    ) -> anyhow::Result<Lane> {
        lane(filtered.pod.name(), &filtered.pod, &self.bare, targets)
    }

    /// The same calls, from where no Pod is reached: each ends right after the kernel program, whose
    /// caches the work of a connection does not empty.
    pub(crate) fn cut_off(&self, lane: &Lane) -> anyhow::Result<Lane> {
        let namespace = self.island.place().namespace_path().context("it has a path")?;
        let errno = lane.errno.or(Some(Errno::NETUNREACH.raw_os_error()));
        Ok(Lane { namespace, errno, ..lane.clone() })
    }

    /// Runs a plan in a process of its own; the samples of every lane, round by round.
    pub(crate) fn run(&self, plan: &Plan) -> anyhow::Result<Vec<Vec<Sample>>> {
        rounds("client", plan, plan.rounds)
    }

    /// The same, counting runs of programs: those of every way, turn by turn.
    pub(crate) fn count(&self, plan: &counted::Plan) -> anyhow::Result<Vec<Vec<counted::Turn>>> {
        rounds("counted", plan, plan.turns)
    }

    fn at(&self, port: u16) -> Vec<SocketAddr> {
        self.pods.iter().map(|pod| pod.at(port)[0]).collect()
    }
}

/// Runs a part of this program that prints a line of JSON a round.
fn rounds<T: DeserializeOwned>(
    part: &str,
    plan: &impl Serialize,
    count: usize,
) -> anyhow::Result<Vec<T>> {
    let output = Command::new(env::current_exe()?)
        .args([part, &serde_json::to_string(plan)?])
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "the measuring process ended with {}", output.status);
    let rounds = String::from_utf8(output.stdout)?;
    let rounds = rounds.lines().map(serde_json::from_str).collect::<Result<Vec<_>, _>>()?;
    ensure!(rounds.len() == count, "{} of {count} rounds", rounds.len());
    Ok(rounds)
}

fn lane(
    name: &str,
    client: &Pod,
    cgroup: &Cgroup,
    targets: Vec<SocketAddr>,
) -> anyhow::Result<Lane> {
    let namespace = client.place().namespace_path().context("a Pod has a namespace")?;
    let (name, cgroup) = (name.to_owned(), cgroup.path().to_owned());
    Ok(Lane { name, namespace, cgroup, targets, errno: None })
}

impl Serving {
    fn start(pod: &Pod) -> anyhow::Result<Self> {
        let mut child = pod
            .command(env::current_exe()?)
            .arg("serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().context("no stdout")?;
        let serving = Self(child);
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        ensure!(line.trim() == "ready", "a server of the bench did not start");
        Ok(serving)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
