//! Hollow nodes: all that a kubelet does for a Service's sake, on real namespaces, cgroups and
//! processes, without images.

mod builder;
mod container;
mod kubelet;
mod layout;
mod orders;
mod pod;
mod registration;
mod report;
mod status;
mod watch;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedSender;

use crate::cgroup::Cgroup;
use crate::node::Node;
use crate::place::Place;
use crate::{Api, Error};

pub use builder::HollowNodeBuilder;
pub use layout::CgroupDriver;

use layout::Layout;
use orders::{Key, Order, What};

/// What runs on a node, as the test may see it.
type Board = Arc<Mutex<BTreeMap<Key, HollowPod>>>;

/// How long a Pod may take to be taken.
const PATIENCE: Duration = Duration::from_secs(60);

/// A node of a [`ControlPlane`](crate::ControlPlane) with the duties of a kubelet: it registers
/// itself, takes the Pods that are bound to it, tells of them and ends them gracefully.
///
/// Each Pod has a network of its own with an IPv4 and an IPv6 address, the cgroups that kubelet
/// and containerd would give it, and a process for each container, which serves the ports that
/// the container names and answers with the Pod's name. When this is dropped, all of it ends and
/// the Node object is deleted.
#[derive(Debug)]
pub struct HollowNode {
    name: String,
    node: Arc<Node>,
    layout: Arc<Layout>,
    board: Board,
    admin: Api,
    /// None once the node has ended: the loop ends when nobody can give orders.
    orders: Option<UnboundedSender<Order>>,
    kubelet: Option<JoinHandle<()>>,
}

impl HollowNode {
    /// Its name in the cluster.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its host network and that of its Pods. The API server is reached from there at the same
    /// address as from outside.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The cgroup that holds all of its Pods, as `--cgroup` of the agent takes it.
    #[must_use]
    pub fn cgroup(&self) -> &Cgroup {
        self.layout.root()
    }

    /// A Pod that runs here, waited for up to a minute.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchPod`] when it does not come.
    pub fn pod(&self, namespace: &str, name: &str) -> Result<HollowPod, Error> {
        let key = (namespace.to_owned(), name.to_owned());
        let deadline = Instant::now() + PATIENCE;
        loop {
            let board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
            match board.get(&key) {
                Some(pod) => return Ok(pod.clone()),
                None if Instant::now() >= deadline => return Err(orders::no_such(&key, None)),
                None => drop(board),
            }
            sleep(Duration::from_millis(5));
        }
    }

    /// The Pods that run here now.
    #[must_use]
    pub fn pods(&self) -> Vec<HollowPod> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Says whether the containers of a Pod are ready, as their readiness probes would.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchPod`] when it is not here.
    pub fn set_ready(&self, namespace: &str, name: &str, ready: bool) -> Result<(), Error> {
        self.order(What::Ready((namespace.to_owned(), name.to_owned()), ready))
    }

    /// Does not start containers of this name with their Pods from now on.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the node has ended.
    pub fn hold(&self, container: &str) -> Result<(), Error> {
        self.order(What::Hold(container.to_owned()))
    }

    /// Starts the containers of this name that were held back.
    ///
    /// # Errors
    ///
    /// [`Error::NotReady`], for one when a port is taken.
    pub fn release(&self, container: &str) -> Result<(), Error> {
        self.order(What::Release(container.to_owned()))
    }

    /// Kills a container and starts another one in its place, with another id and cgroup.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchPod`] when it is not here.
    pub fn restart(&self, namespace: &str, name: &str, container: &str) -> Result<(), Error> {
        let key = (namespace.to_owned(), name.to_owned());
        self.order(What::Restart(key, container.to_owned()))
    }

    /// Ends as a machine does that loses its power: the cluster is told nothing.
    pub fn crash(mut self) {
        self.end();
    }

    fn order(&self, what: What) -> Result<(), Error> {
        let gone =
            || Error::io("give an order to a hollow node")(std::io::ErrorKind::BrokenPipe.into());
        let (done, answer) = channel();
        let orders = self.orders.as_ref().ok_or_else(gone)?;
        orders.send(Order { what, done }).map_err(|_| gone())?;
        answer.recv().map_err(|_| gone())?
    }

    fn end(&mut self) {
        self.orders = None;
        if let Some(kubelet) = self.kubelet.take() {
            // If it panicked, its own words are on stderr.
            let _ = kubelet.join();
        }
    }
}

impl Drop for HollowNode {
    fn drop(&mut self) {
        if self.kubelet.is_some() {
            // First, so that no more Pods are sent here.
            let _ = self.admin.delete(&registration::path(&self.name));
            self.end();
        }
    }
}

/// A Pod as it ran when it was asked for.
#[derive(Clone, Debug)]
pub struct HollowPod {
    /// Its name.
    pub name: String,
    /// Its Kubernetes namespace.
    pub namespace: String,
    /// Its uid.
    pub uid: String,
    /// Its addresses, IPv4 first; those of the node where it shares the node's network.
    pub addresses: Vec<IpAddr>,
    /// Its cgroup.
    pub cgroup: PathBuf,
    /// Its containers that run, in the order in which they were started.
    pub containers: Vec<HollowContainer>,
}

/// A running container.
#[derive(Clone, Debug)]
pub struct HollowContainer {
    /// Its name.
    pub name: String,
    /// Its id, 64 hexadecimal digits.
    pub id: String,
    /// Its cgroup.
    pub cgroup: PathBuf,
    /// Its cgroup and its Pod's network, for callers.
    pub place: Place,
    /// The id of its process.
    pub process: u32,
}

impl HollowPod {
    /// A container that runs.
    #[must_use]
    pub fn container(&self, name: &str) -> Option<&HollowContainer> {
        self.containers.iter().find(|container| container.name == name)
    }

    fn of(pod: &pod::Pod) -> Self {
        let (namespace, name) = pod.key();
        let running = pod.init.iter().chain(&pod.containers).filter_map(|container| {
            Some(HollowContainer {
                name: container.name.clone(),
                id: container.id.clone(),
                cgroup: container.path.clone(),
                place: container.place.clone(),
                process: container.process()?,
            })
        });
        Self {
            name,
            namespace,
            uid: pod.object.metadata.uid.clone().unwrap_or_default(),
            addresses: pod.addresses.clone(),
            cgroup: pod.cgroup().path().to_owned(),
            containers: running.collect(),
        }
    }
}
