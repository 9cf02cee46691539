//! A cluster to practise on: a real control plane on loopback, and two nodes as namespaces. Lasts
//! until Ctrl-C, and leaves nothing.
//!
//! Run it with `make practice`; docs/first-cluster.md says what to do with it. `make practice ARGS=--etm`
//! starts etm as well, as it is installed on a cluster.
#![forbid(unsafe_code)]

mod etm;

use std::{
    env, fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::Parser;
use etm_testkit::{CgroupDriver, ControlPlane, Fabric, HollowNode, binary, require_root};
use tokio::signal::unix::{SignalKind, signal};

/// Runs a program on a node, and in a Pod: what `ssh` and `kubectl exec` are for elsewhere.
const SCRIPTS: [(&str, &str); 2] =
    [("on-node", include_str!("on-node.sh")), ("in-pod", include_str!("in-pod.sh"))];

/// A cluster to practise on.
#[derive(Debug, Parser)]
#[command(name = "practice", max_term_width = 100)]
struct Arguments {
    /// Start etm as well: an agent on each node and the controller.
    #[arg(long)]
    etm: bool,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    require_root()?;
    let folder = tempfile::Builder::new().prefix("practice-").tempdir()?;
    println!("starting etcd, kube-apiserver, kube-controller-manager, kube-scheduler ...");
    let cluster = ControlPlane::builder().controllers().start()?;
    let fabric = Fabric::new()?;
    let nodes = [("east", CgroupDriver::Systemd), ("west", CgroupDriver::Cgroupfs)];
    let nodes: Vec<HollowNode> = nodes
        .into_iter()
        .map(|(name, driver)| {
            let node = HollowNode::builder(&cluster, name).zone(name);
            node.driver(driver).fabric(&fabric).start()
        })
        .collect::<Result<_, _>>()?;
    let etm = arguments.etm.then(|| etm::start(folder.path(), &cluster, &nodes)).transpose()?;
    let environment = write(folder.path(), &cluster, &nodes)?;
    println!("ready: two nodes, {} and {}; in another shell:\n", nodes[0].name(), nodes[1].name());
    println!("    source {}\n", environment.display());
    for installed in etm.iter().flat_map(|etm| &etm.agents) {
        println!(
            "etm on node {}: etm get services --pin {}",
            installed.node,
            installed.pin.display()
        );
    }
    println!("Ctrl-C ends it and removes everything.");
    wait()
}

/// Writes what other shells need, and gives the file for them to read.
fn write(folder: &Path, cluster: &ControlPlane, nodes: &[HollowNode]) -> anyhow::Result<PathBuf> {
    for (name, text) in SCRIPTS {
        let path = folder.join(name);
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    for node in nodes {
        let place = format!(
            "namespace={}\ncgroup={}\n",
            node.node().namespace().name(),
            node.cgroup().path().display()
        );
        fs::write(folder.join(format!("node-{}", node.name())), place)?;
    }
    let etm = binary("etm")?;
    let etm = etm.parent().context("etm lies in no folder")?;
    let kubernetes = env::var("KUBEBUILDER_ASSETS").unwrap_or_default();
    let environment = format!(
        "export KUBECONFIG={}\nexport PRACTICE={}\nexport PATH={}:{}:{kubernetes}:$PATH\n",
        cluster.kubeconfig().display(),
        folder.display(),
        folder.display(),
        etm.display(),
    );
    let path = folder.join("environment");
    fs::write(&path, environment)?;
    Ok(path)
}

fn wait() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = signal(SignalKind::hangup())?;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
        Ok(())
    })
}
