//! What kind of node a test needs.

use std::collections::BTreeMap;
use std::sync::{Arc, mpsc};
use std::thread;

use tokio::runtime::Builder;
use tokio::sync::mpsc::unbounded_channel;

use super::kubelet::Kubelet;
use super::layout::Layout;
use super::{Board, CgroupDriver, HollowNode, registration};
use crate::control_plane::client;
use crate::node::Node;
use crate::{Api, ControlPlane, Error, Fabric, door};

/// Describes a hollow node; [`start`](HollowNodeBuilder::start) runs it.
#[derive(Debug)]
#[must_use]
pub struct HollowNodeBuilder<'a> {
    control_plane: &'a ControlPlane,
    name: String,
    labels: BTreeMap<String, String>,
    driver: CgroupDriver,
    fabric: Option<&'a Fabric>,
    ready: bool,
}

impl HollowNode {
    /// Describes a node with systemd as the driver of its cgroups. Pods come as the scheduler
    /// chooses; tests that share a control plane keep to nodes of their own by labels.
    pub fn builder<'a>(control_plane: &'a ControlPlane, name: &str) -> HollowNodeBuilder<'a> {
        let name = name.to_owned();
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let labels = [
            ("kubernetes.io/hostname", name.as_str()),
            ("kubernetes.io/os", "linux"),
            ("kubernetes.io/arch", architecture),
        ];
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let driver = CgroupDriver::default();
        HollowNodeBuilder { control_plane, name, labels, driver, fabric: None, ready: true }
    }
}

impl<'a> HollowNodeBuilder<'a> {
    /// The zone that it is in.
    pub fn zone(self, zone: &str) -> Self {
        self.label("topology.kubernetes.io/zone", zone)
    }

    /// Adds a label.
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.labels.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Who makes its cgroups.
    pub fn driver(self, driver: CgroupDriver) -> Self {
        Self { driver, ..self }
    }

    /// Plugs it in, so that its Pods and those of the fabric's other nodes reach each other.
    pub fn fabric(self, fabric: &'a Fabric) -> Self {
        Self { fabric: Some(fabric), ..self }
    }

    /// Its containers are ready only when a test says so.
    pub fn unready(self) -> Self {
        Self { ready: false, ..self }
    }

    /// Registers the node and waits until the cluster sends Pods to it.
    ///
    /// # Errors
    ///
    /// [`Error::NeverCame`] when the controllers give it no network, as they do where there are
    /// none; [`Error::Api`] when the name is taken.
    pub fn start(self) -> Result<HollowNode, Error> {
        let Self { control_plane, name, labels, driver, fabric, ready } = self;
        // What a real kubelet is to the API server, with no more rights.
        let config = control_plane.user(&format!("system:node:{name}"), &["system:nodes"])?;
        let (api, admin) = (Api::new(&config)?, Api::new(control_plane.kubeconfig())?);
        let layout = Arc::new(Layout::new(driver)?);
        let (subnet4, subnet6) = registration::register(&api, &name, &labels)?;
        let node = Arc::new(Node::with_subnets(subnet4, subnet6)?);
        if let Some(fabric) = fabric {
            fabric.join(&node)?;
        }
        let address = control_plane.address();
        let listener = door::listen(&node.place(), address)?;

        let board = Board::default();
        let (orders, received) = unbounded_channel();
        let (begun, beginning) = mpsc::channel();
        let shared = (Arc::clone(&node), Arc::clone(&layout), Arc::clone(&board), name.clone());
        let kubelet = thread::spawn(move || {
            let runtime = match Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => return drop(begun.send(Err(Error::io("start a runtime")(error)))),
            };
            runtime.block_on(async {
                let client = match client(&config).await {
                    Ok(client) => client,
                    Err(error) => return drop(begun.send(Err(error))),
                };
                tokio::spawn(door::pass_on(listener, address));
                let (node, layout, board, name) = shared;
                let kubelet = Kubelet::new(name, node, layout, board, ready, client);
                let _ = begun.send(Ok(()));
                kubelet.run(received).await;
            });
        });
        let (orders, kubelet) = (Some(orders), Some(kubelet));
        let node = HollowNode { name, node, layout, board, admin, orders, kubelet };
        let gone = |_| Error::io("start a hollow node")(std::io::ErrorKind::BrokenPipe.into());
        beginning.recv().map_err(gone)??;
        registration::announce(&api, &node.name, &node.node)?;
        Ok(node)
    }
}
