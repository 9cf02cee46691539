//! Services that an agent serves to a cgroup, with Pods in it or without.

use std::{
    path::PathBuf,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use etm_dataplane::View;
use etm_testkit::{Agent, BpfDir, Cgroup, Manifests, objects};
use serde_json::Value;

use crate::cluster::Cluster;

/// UID of the Pod that calls.
const CLIENT: &str = "0c6a2f5e-63a2-4d3f-9d5e-8f1b7c2d3e4f";

/// How long an agent may take to know its callers.
const PATIENCE: Duration = Duration::from_secs(30);

/// In the order of their end.
pub(crate) struct Covered {
    pub(crate) cluster: Cluster,
    _agent: Agent,
    pins: BpfDir,
    kubepods: Option<Kubepods>,
    cgroup: Cgroup,
    _manifests: Manifests,
}

/// The cgroups of Pods, three levels deep, as the kubelet makes them; in the order of their end.
struct Kubepods {
    /// Of one container of each Pod, the client's first.
    containers: Vec<Cgroup>,
    _pods: Vec<Cgroup>,
    _burstable: Cgroup,
    _kubepods: Cgroup,
}

impl Covered {
    /// An agent that serves some Services to a cgroup of its own.
    pub(crate) fn start(cluster: Cluster) -> anyhow::Result<Self> {
        Self::within(Cgroup::new()?, None, cluster, &[])
    }

    /// The same with further objects, where the callers are Pods: a client, and all Pods among the
    /// objects.
    pub(crate) fn with_pods(cluster: Cluster, mut others: Vec<Value>) -> anyhow::Result<Self> {
        let ip = [10, 200, 0, 1].into();
        let client = objects::Pod::new("client", &[ip]).set("metadata.uid", CLIENT);
        others.insert(0, client.into());
        let pods = others.iter().filter(|object| object["kind"] == "Pod");
        let uids = pods.map(|pod| pod["metadata"]["uid"].as_str().context("a Pod without a UID"));
        let uids = uids.collect::<anyhow::Result<Vec<_>>>()?;
        let cgroup = Cgroup::new()?;
        let kubepods = Kubepods::new(&cgroup, &uids)?;
        let covered = Self::within(cgroup, Some(kubepods), cluster, &others)?;
        covered.until_known(uids.len())?;
        Ok(covered)
    }

    fn within(
        cgroup: Cgroup,
        kubepods: Option<Kubepods>,
        cluster: Cluster,
        others: &[Value],
    ) -> anyhow::Result<Self> {
        let (manifests, pins) = (Manifests::new()?, BpfDir::new()?);
        cluster.declare(&manifests)?;
        if !others.is_empty() {
            manifests.apply("others.yaml", others)?;
        }
        let agent = Agent::of_folder(&manifests, &cgroup, &pins)?.start()?;
        Ok(Self { cluster, _agent: agent, pins, kubepods, cgroup, _manifests: manifests })
    }

    /// Waits until the kernel's map tells so many Pods by their cgroups.
    fn until_known(&self, pods: usize) -> anyhow::Result<()> {
        let (view, begin) = (View::open(&self.pin())?, Instant::now());
        loop {
            let callers = view.callers()?;
            // Of a Pod that is not known yet there is no name, and of the node no UID.
            let named = callers.values().filter(|caller| !caller.name.is_empty());
            let known = named.filter(|caller| !caller.uid.is_empty()).count();
            if known == pods {
                return Ok(());
            }
            ensure!(begin.elapsed() < PATIENCE, "the agent knows {known} of {pods} Pods");
            sleep(Duration::from_millis(10));
        }
    }

    /// The agent's directory in bpffs.
    pub(crate) fn pin(&self) -> PathBuf {
        self.pins.path().join("etm")
    }

    /// The cgroup that the agent covers.
    pub(crate) fn cgroup(&self) -> &Cgroup {
        &self.cgroup
    }

    /// The cgroup of the client's container, where Pods call.
    pub(crate) fn client(&self) -> anyhow::Result<&Cgroup> {
        let kubepods = self.kubepods.as_ref().context("no Pod calls")?;
        kubepods.containers.first().context("no Pod calls")
    }
}

impl Kubepods {
    fn new(root: &Cgroup, uids: &[&str]) -> anyhow::Result<Self> {
        let kubepods = root.child("kubepods")?;
        let burstable = kubepods.child("burstable")?;
        let pods = uids.iter().map(|uid| burstable.child(&format!("pod{uid}")));
        let pods = pods.collect::<Result<Vec<_>, _>>()?;
        let containers = pods.iter().map(|pod| pod.child("0123456789abcdef"));
        let containers = containers.collect::<Result<_, _>>()?;
        Ok(Self { containers, _pods: pods, _burstable: burstable, _kubepods: kubepods })
    }
}
