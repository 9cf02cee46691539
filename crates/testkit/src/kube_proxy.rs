//! The real kube-proxy, in a node's network of its own.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::thread::{self, JoinHandle};
use std::{env, io};

use serde_json::json;
use tokio::runtime::Builder;
use tokio::sync::oneshot::{Sender, channel};

use crate::cgroup::Cgroup;
use crate::control_plane::program;
use crate::folder::Folder;
use crate::node::Node;
use crate::page::{Page, page};
use crate::program::Program;
use crate::{ControlPlane, Error, door};

/// Where it tells its metrics, in its own network.
const METRICS: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 10_249);

/// What it calls of iptables.
const TABLES: [&str; 2] = ["iptables", "ip6tables"];

/// Where distributions have the programs of both backends of iptables.
const SYSTEM: &str = "/usr/sbin";

/// What kube-proxy writes its rules for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyMode {
    /// nftables.
    Nftables,
    /// iptables, by the older of its two backends, which is the quicker one.
    Iptables,
}

impl ProxyMode {
    /// As `--proxy-mode` has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Nftables => "nftables",
            Self::Iptables => "iptables",
        }
    }
}

/// A running kube-proxy, killed on drop; its rules are gone with its network.
#[derive(Debug)]
pub struct KubeProxy {
    program: Program,
    node: Node,
    /// Dropped, it ends the way to the API server.
    way: Option<Sender<()>>,
    passing: Option<JoinHandle<()>>,
    _cgroup: Cgroup,
    _programs: Folder,
}

impl KubeProxy {
    /// Starts one with default settings and the rights that every cluster gives to it, on a node
    /// of this name, which it makes. `pods` is the network of all Pods.
    ///
    /// # Errors
    ///
    /// [`Error::MissingBinary`] without the program, [`Error::Api`] where the name is taken.
    pub fn start(
        control_plane: &ControlPlane,
        name: &str,
        mode: ProxyMode,
        pods: &str,
    ) -> Result<Self, Error> {
        let (node, cgroup, programs) = (Node::new()?, Cgroup::new()?, Folder::new()?);
        let object = json!({
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name},
            "status": {"addresses": [
                {"type": "InternalIP", "address": node.ipv4()},
                {"type": "InternalIP", "address": node.ipv6()},
            ]},
        });
        control_plane.api().create("/api/v1/nodes", &object)?;
        let config = control_plane.user("system:kube-proxy", &[])?;
        let (way, passing) = open_way(&node, control_plane.address())?;
        let path = search_path(programs.path(), mode)?;

        let place = node.place().within(&cgroup);
        let mut command = place.command("setpriv");
        command
            .args(["--pdeathsig", "KILL", "--"])
            .arg(program("kube-proxy")?)
            .arg(format!("--kubeconfig={}", config.display()))
            .arg(format!("--hostname-override={name}"))
            .arg(format!("--proxy-mode={}", mode.name()))
            .arg(format!("--cluster-cidr={pods}"))
            .arg(format!("--metrics-bind-address={METRICS}"))
            // These settings are the whole machine's.
            .args(["--conntrack-max-per-core=0", "--conntrack-min=0"])
            .env("PATH", path);
        let program = Program::start_bound("kube-proxy", command)?;
        let (way, passing) = (Some(way), Some(passing));
        Ok(Self { program, node, way, passing, _cgroup: cgroup, _programs: programs })
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.program.id()
    }

    /// The node whose network its rules are in.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// What it said on stderr so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.program.stderr()
    }

    /// Its metrics.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when it does not answer, as before its start is over.
    pub fn metrics(&self) -> Result<Page, Error> {
        page(&self.node.place(), METRICS, "/metrics")
    }
}

impl Drop for KubeProxy {
    fn drop(&mut self) {
        self.way = None;
        if let Some(passing) = self.passing.take() {
            let _ = passing.join();
        }
    }
}

/// Lets the API server be reached from a node, until the sender is dropped.
fn open_way(node: &Node, address: SocketAddr) -> Result<(Sender<()>, JoinHandle<()>), Error> {
    let listener = door::listen(&node.place(), address)?;
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(Error::io("start a runtime"))?;
    let (way, end) = channel();
    let passing = thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = door::pass_on(listener, address) => {}
                _ = end => {}
            }
        });
    });
    Ok((way, passing))
}

/// Where it looks for programs: first in a folder with those of the older iptables, if these are
/// meant.
fn search_path(folder: &Path, mode: ProxyMode) -> Result<OsString, Error> {
    if mode == ProxyMode::Iptables {
        for table in TABLES {
            for suffix in ["", "-save", "-restore"] {
                let program = Path::new(SYSTEM).join(format!("{table}-legacy{suffix}"));
                let link = folder.join(format!("{table}{suffix}"));
                symlink(program, link).map_err(Error::io("link the older iptables"))?;
            }
        }
    }
    let others = env::var_os("PATH").unwrap_or_else(|| SYSTEM.into());
    let folders = [folder.to_owned()].into_iter().chain(env::split_paths(&others));
    let joined = env::join_paths(folders).map_err(io::Error::other);
    joined.map_err(Error::io("make a search path"))
}
