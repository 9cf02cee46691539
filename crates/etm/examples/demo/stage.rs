//! The stage: a node with the manifests' Pods on it, a caller, and an agent, all of it scratch.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use etm_model::{Family, Protocol};
use etm_testkit::{Agent, AgentBuilder, BpfDir, Caller, Cgroup, Node, Place, Pod, Server, binary};
use serde_json::Value;

use crate::{cast::Cast, cast::Member, files::Files, interrupt, town::Town};

/// The manifests that the demo runs on; as it was when the demo was built, since cargo runs it
/// from anywhere.
const SHOP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/shop");

/// How long a change may take to show before a scene gives up on it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Everything that the scenes play on. Fields are dropped in this order: first what uses, then
/// what is used.
pub(crate) struct Stage {
    /// For scenes with a real Kubernetes, from the first of them on.
    town: Option<Town>,
    pub(crate) agent: Option<Agent>,
    servers: BTreeMap<String, Server>,
    pods: Vec<(Pod, Member)>,
    /// The Pod that calls.
    pub(crate) client: Pod,
    /// A Pod outside of the agent's cgroup, whose calls etm never sees.
    pub(crate) bystander: Pod,
    pub(crate) node: Node,
    pub(crate) cgroup: Cgroup,
    pub(crate) pin: BpfDir,
    pub(crate) files: Files,
    pub(crate) cast: Cast,
    etm: PathBuf,
}

impl Stage {
    /// Starts it all, and waits until the agent is ready.
    pub(crate) fn build() -> anyhow::Result<Self> {
        let etm = binary("etm")?;
        let files = Files::copy(Path::new(SHOP))?;
        let cast = Cast::read(files.path())?;
        let cgroup = Cgroup::new()?;
        interrupt::ends(cgroup.path());
        let pin = BpfDir::new()?;
        let node = Node::new()?;
        let client = node.pod("client")?;
        let bystander = node.pod("bystander")?;
        let (mut pods, mut servers) = (Vec::new(), BTreeMap::new());
        for (name, member) in cast.members() {
            interrupt::check()?;
            let pod = node.pod(&name)?;
            move_to(&pod, &member)?;
            servers.insert(name, serve(&pod, &member)?);
            pods.push((pod, member));
        }
        let mut stage = Self {
            town: None,
            agent: None,
            servers,
            pods,
            client,
            bystander,
            node,
            cgroup,
            pin,
            files,
            cast,
            etm,
        };
        stage.agent = Some(stage.describe_agent().start()?);
        Ok(stage)
    }

    /// The real Kubernetes, started for the first scene that asks for it.
    pub(crate) fn town(&mut self) -> anyhow::Result<&Town> {
        if self.town.is_none() {
            self.town = Some(Town::found()?);
        }
        self.town.as_ref().context("it was founded")
    }

    /// An agent for this stage; the first one, or one that takes over.
    pub(crate) fn describe_agent(&self) -> AgentBuilder {
        Agent::of(&self.etm)
            .node("demo")
            .manifests(self.files.path())
            .cgroup(&self.cgroup)
            .pin(self.pin.path())
            .place(&self.node.place())
    }

    /// The agent's ready line.
    pub(crate) fn ready_line(&self) -> &str {
        self.agent.as_ref().map(Agent::ready_line).unwrap_or_default()
    }

    /// Names of the Pods that run, and their addresses.
    pub(crate) fn pods(&self) -> impl Iterator<Item = (&str, &Member)> {
        self.pods.iter().map(|(pod, member)| (pod.name(), member))
    }

    /// The client's network, in the cgroup that the agent covers.
    pub(crate) fn caller_place(&self) -> Place {
        self.client.place().within(&self.cgroup)
    }

    /// A caller in the client.
    pub(crate) fn caller(&self, protocol: etm_testkit::Protocol) -> Caller {
        Caller::new(&self.caller_place(), protocol)
    }

    /// A caller in a second Pod, covered by the agent as well.
    pub(crate) fn second_caller(&self, protocol: etm_testkit::Protocol) -> Caller {
        Caller::new(&self.bystander.place().within(&self.cgroup), protocol)
    }

    /// Ends a Pod's server: from now on the Pod refuses.
    pub(crate) fn stop_server(&mut self, pod: &str) -> anyhow::Result<()> {
        let server = self.servers.remove(pod);
        server.map(drop).with_context(|| format!("Pod {pod} does not serve"))
    }

    /// Starts it again.
    pub(crate) fn start_server(&mut self, name: &str) -> anyhow::Result<()> {
        let found = self.pods.iter().find(|(pod, _)| pod.name() == name);
        let (pod, member) = found.with_context(|| format!("there is no Pod {name}"))?;
        self.servers.insert(name.to_owned(), serve(pod, member)?);
        Ok(())
    }

    /// Where clients reach a Service over IPv4.
    pub(crate) fn service(&self, name: &str, protocol: Protocol) -> anyhow::Result<SocketAddr> {
        self.cast.service(name, Family::V4, protocol)
    }

    /// A counter of the kernel, as `etm get counters` shows it.
    pub(crate) fn counter(&self, name: &str) -> anyhow::Result<u64> {
        let rows = self.get("counters")?;
        let mut rows = rows.as_array().into_iter().flatten();
        let row = rows.find(|row| row["counter"] == name);
        let calls = row.and_then(|row| row["calls"].as_u64());
        calls.with_context(|| format!("`etm get counters` has no {name}"))
    }

    /// What `etm get WHAT` shows; it reads the pinned maps, so it needs no agent.
    pub(crate) fn get(&self, what: &str) -> anyhow::Result<Value> {
        let mut command = Command::new(&self.etm);
        command.args(["get", what, "-o", "json", "--pin"]).arg(self.pin.path());
        Ok(serde_json::from_str(&output(command)?)?)
    }
}

/// What a program printed; anything but success is an error with its words.
pub(crate) fn output(mut command: Command) -> anyhow::Result<String> {
    let output = command.output().with_context(|| format!("run {command:?}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{command:?}: {}: {}", output.status, said.trim());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Repeats until it gives something, and says how long that took since the change before it.
pub(crate) fn wait_for<T>(
    what: &str,
    since: Instant,
    mut attempt: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<(T, Duration)> {
    while since.elapsed() < PATIENCE {
        interrupt::check()?;
        if let Some(value) = attempt()? {
            return Ok((value, since.elapsed()));
        }
    }
    bail!("waited {} s for {what}", PATIENCE.as_secs())
}

/// Serves the ports that a Pod's manifests say.
fn serve(pod: &Pod, member: &Member) -> anyhow::Result<Server> {
    let ports = (Vec::from_iter(member.tcp.clone()), Vec::from_iter(member.udp.clone()));
    Ok(pod.serve(&ports.0, &ports.1)?)
}

/// Gives a Pod the addresses that its manifest says instead of the next free ones.
fn move_to(pod: &Pod, member: &Member) -> anyhow::Result<()> {
    let mut lines = "addr flush dev eth0 scope global\n".to_owned();
    for address in &member.addresses {
        lines += &match address {
            IpAddr::V4(ip) => format!("addr add {ip}/24 dev eth0\n"),
            IpAddr::V6(ip) => format!("addr add {ip}/64 dev eth0 nodad\n"),
        };
    }
    Ok(pod.namespace().ip(&lines)?)
}
