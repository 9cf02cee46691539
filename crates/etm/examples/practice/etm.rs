//! etm on the cluster, as it is installed: its kinds, an agent on each node, and the controller, with the
//! certificate by which this one asks the others.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use etm_testkit::{Agent, BpfDir, ControlPlane, HollowNode, binary};

/// The definitions of etm's own kinds.
const KINDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/kustomize/crds");
/// Where each agent answers the controller, and where it serves its pages.
const OUTCOMES: u16 = 9443;
const ADMIN: &str = "127.0.0.1:9440";
/// The controller is on the first node as well.
const CONTROLLER_ADMIN: &str = "127.0.0.1:9442";

/// What was started; it ends when this is dropped, the controller first.
pub(crate) struct Etm {
    _controller: Agent,
    pub(crate) agents: Vec<Installed>,
}

/// An agent on a node.
pub(crate) struct Installed {
    pub(crate) node: String,
    pub(crate) pin: PathBuf,
    _agent: Agent,
    _pins: BpfDir,
}

/// Starts all of it, and waits until each part is ready.
pub(crate) fn start(
    folder: &Path,
    cluster: &ControlPlane,
    nodes: &[HollowNode],
) -> anyhow::Result<Etm> {
    println!("starting etm ...");
    cluster.kubectl(&["apply", "--server-side", "-f", KINDS])?;
    cluster.kubectl(&["wait", "--for=condition=Established", "--timeout=60s", "-f", KINDS])?;
    let certificate = folder.join("outcomes");
    fs::create_dir(&certificate)?;
    etm_testkit::certificate(&certificate, etm_outcomes::NAME)?;
    let agents = nodes.iter().map(|node| agent(folder, &certificate, cluster, node));
    let agents: Vec<_> = agents.collect::<anyhow::Result<_>>()?;
    let first = nodes.first().context("there is no node")?;
    let asked: Vec<_> = nodes.iter().map(|node| outcomes(node).to_string()).collect();
    let controller = Agent::of(binary("etm")?)
        .verb("controller")
        .place(&first.node().place())
        .arg("--kubeconfig")
        .arg(cluster.kubeconfig())
        .arg("--namespace")
        .arg("default")
        .arg("--admin")
        .arg(CONTROLLER_ADMIN)
        .arg("--outcomes-tls")
        .arg(&certificate)
        .arg("--agents")
        .arg(asked.join(","));
    Ok(Etm { _controller: controller.start()?, agents })
}

fn agent(
    folder: &Path,
    certificate: &Path,
    cluster: &ControlPlane,
    node: &HollowNode,
) -> anyhow::Result<Installed> {
    let pins = BpfDir::new()?;
    let pin = pins.path().join("etm");
    let agent = Agent::of(binary("etm")?)
        .on(cluster, node)
        .pin(&pin)
        .arg("--state")
        .arg(folder.join(format!("state-{}", node.name())))
        .arg("--admin")
        .arg(ADMIN)
        .arg("--outcomes")
        .arg(outcomes(node).to_string())
        .arg("--outcomes-tls")
        .arg(certificate)
        .start()?;
    Ok(Installed { node: node.name().to_owned(), pin, _agent: agent, _pins: pins })
}

fn outcomes(node: &HollowNode) -> SocketAddr {
    SocketAddr::new(node.node().ipv4().into(), OUTCOMES)
}
