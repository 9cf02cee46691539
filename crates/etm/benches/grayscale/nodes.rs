//! Nodes of a real cluster, each with an agent, and what runs on them.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use etm_dataplane::View;
use etm_model::{FrontendKey, Listener, Protocol};
use etm_testkit::{
    Agent, AgentBuilder, BpfDir, ControlPlane, Fabric, HollowNode, HollowPod, Place, binary,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::told::Told;

const PATIENCE: Duration = Duration::from_secs(60);

/// The Services' port, and that of their Pods.
const PORT: u16 = 80;
const POD_PORT: u16 = 8080;

/// In the order of their end.
pub(crate) struct Nodes {
    nodes: Vec<Covered>,
    namespace: String,
    told: Told,
    _fabric: Fabric,
    cluster: ControlPlane,
}

struct Covered {
    _agent: Agent,
    node: HollowNode,
    pins: BpfDir,
    _state: TempDir,
}

impl Nodes {
    /// So many, in a cluster of their own that knows etm's kinds; `with` says more of each agent.
    pub(crate) fn start(
        count: usize,
        with: impl Fn(AgentBuilder) -> AgentBuilder,
    ) -> anyhow::Result<Self> {
        let cluster = ControlPlane::builder().controllers().start()?;
        let kinds = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/kustomize/crds");
        cluster.kubectl(&["apply", "--server-side", "-f", kinds])?;
        cluster.kubectl(&["wait", "--for=condition=Established", "--timeout=60s", "-f", kinds])?;
        let (namespace, fabric) = (cluster.namespace()?, Fabric::new()?);
        let mut nodes = Vec::new();
        for number in 0..count {
            let node = HollowNode::builder(&cluster, &format!("bench-{number}"));
            let node = node.fabric(&fabric).start()?;
            let (pins, state) = (BpfDir::new()?, TempDir::new()?);
            let described = Agent::of(binary("etm")?)
                .on(&cluster, &node)
                .pin(pins.path().join("etm"))
                .arg("--state")
                .arg(state.path());
            let agent = with(described).start()?;
            nodes.push(Covered { _agent: agent, node, pins, _state: state });
        }
        let told = Told::start(cluster.kubeconfig(), &namespace)?;
        Ok(Self { nodes, namespace, told, _fabric: fabric, cluster })
    }

    pub(crate) fn count(&self) -> usize {
        self.nodes.len()
    }

    /// The network of a node itself.
    pub(crate) fn network(&self, node: usize) -> Place {
        self.nodes[node].node.node().place()
    }

    /// A controller that is ready.
    pub(crate) fn controller(
        &self,
        with: impl Fn(AgentBuilder) -> AgentBuilder,
    ) -> anyhow::Result<Agent> {
        let described = Agent::of(binary("etm")?)
            .verb("controller")
            .arg("--kubeconfig")
            .arg(self.cluster.kubeconfig())
            .arg("--namespace")
            .arg(&self.namespace);
        Ok(with(described).start()?)
    }

    /// The folder of each agent in bpffs.
    pub(crate) fn pins(&self) -> Vec<PathBuf> {
        self.nodes.iter().map(|covered| covered.pins.path().join("etm")).collect()
    }

    /// Makes a Service of the Pods of a version of an app, and gives its address.
    pub(crate) fn service(
        &self,
        name: &str,
        app: &str,
        version: &str,
    ) -> anyhow::Result<SocketAddr> {
        let service = json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name},
            "spec": {
                "selector": {"app": app, "version": version},
                "ports": [{"port": PORT, "targetPort": POD_PORT}],
            },
        });
        self.cluster.api().apply(&self.namespace, &[service])?;
        let path = format!("/api/v1/namespaces/{}/services/{name}", self.namespace);
        let made = self.cluster.api().get(&path)?.context("no Service")?;
        let ip = made["spec"]["clusterIP"].as_str().context("no address")?.parse()?;
        Ok(SocketAddr::new(ip, PORT))
    }

    /// Runs a Pod on a node, which answers, and asks further on where it is told to.
    pub(crate) fn pod(
        &self,
        node: usize,
        (app, version, number): (&str, &str, usize),
        relay: Option<SocketAddr>,
    ) -> anyhow::Result<HollowPod> {
        let name = format!("{app}-{version}-{number}");
        let mut main = json!({
            "name": "main", "image": "example.org/bench", "ports": [{"containerPort": POD_PORT}],
        });
        if let Some(relay) = relay {
            main["env"] = json!([{"name": "RELAY", "value": relay.to_string()}]);
        }
        let node = &self.nodes[node].node;
        let pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": {"app": app, "version": version}},
            "spec": {"nodeName": node.name(), "containers": [main]},
        });
        self.cluster.api().apply(&self.namespace, &[pod])?;
        Ok(node.pod(&self.namespace, &name)?)
    }

    /// Waits until every node leads a Service to so many Pods.
    pub(crate) fn until_members(&self, service: SocketAddr, members: u32) -> anyhow::Result<()> {
        let listener = Listener::Port(service.port(), Protocol::Tcp);
        let key = FrontendKey { ip: service.ip(), listener };
        for pin in self.pins() {
            let view = View::open(&pin)?;
            until(&format!("{service} has {members} members"), || {
                Ok(view.frontend(&key).is_some_and(|frontend| frontend.members == members))
            })?;
        }
        Ok(())
    }

    /// Makes a release of some Services, whose versions are Services of their names with `-VERSION`.
    pub(crate) fn release(
        &self,
        name: &str,
        services: &[&str],
        (stable, new): (&str, &str),
        rest: &Value,
    ) -> anyhow::Result<()> {
        let services: Vec<_> = services
            .iter()
            .map(|service| {
                let version = |version: &str| json!({"service": format!("{service}-{version}")});
                json!({"service": service, "stable": version(stable), "new": version(new)})
            })
            .collect();
        let mut spec = rest.clone();
        spec["services"] = json!(services);
        let release = json!({
            "apiVersion": "etm.dev/v1alpha1",
            "kind": "Release",
            "metadata": {"name": name},
            "spec": spec,
        });
        Ok(self.cluster.api().apply(&self.namespace, &[release])?)
    }

    /// Waits until the status of a release is told to be so: with it, when that was.
    pub(crate) fn until_status(
        &self,
        name: &str,
        is: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<(Value, Duration)> {
        self.told.until(name, is)
    }

    pub(crate) fn delete_release(&self, name: &str) -> anyhow::Result<()> {
        Ok(self.cluster.api().delete(&self.release_path(name))?)
    }

    /// `etm release VERB`, which waits for the controller's answer.
    pub(crate) fn ask(&self, verb: &str, name: &str) -> anyhow::Result<Command> {
        let mut command = Command::new(binary("etm")?);
        let name = format!("{}/{name}", self.namespace);
        let config: &Path = self.cluster.kubeconfig();
        command.args(["release", verb, &name, "--kubeconfig"]).arg(config);
        Ok(command)
    }

    fn release_path(&self, name: &str) -> String {
        format!("/apis/etm.dev/v1alpha1/namespaces/{}/releases/{name}", self.namespace)
    }
}

fn until(what: &str, mut is: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let begin = Instant::now();
    while !is()? {
        ensure!(begin.elapsed() < PATIENCE, "waited in vain for {what}");
        sleep(Duration::from_millis(20));
    }
    Ok(())
}
