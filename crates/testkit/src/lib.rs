//! Real nodes, Pods and callers for tests, demo and benches.
//!
//! Nothing here is simulated: a [`Node`] and its [`Pod`]s are network namespaces joined by veth,
//! servers and callers are processes with real sockets, a [`Cgroup`] is a scratch one in the
//! machine's own cgroup v2, an [`Agent`] is the real binary, a [`ControlPlane`] is Kubernetes
//! itself, whose Pods a [`HollowNode`] turns into such namespaces and processes. Everything is
//! removed on drop, also when a test panics; names carry the process id, so tests run in parallel,
//! and what a killed process left behind is swept by the next one.
//!
//! No namespace ever has a default route: an address that the kernel programs do not handle fails
//! at once, and no packet leaves the machine.
#![forbid(unsafe_code)]

mod agent;
mod binary;
mod bpf_dir;
mod call;
mod caller;
mod certificate;
mod cgroup;
mod control_plane;
mod door;
mod error;
mod fabric;
mod folder;
mod hollow;
mod ip;
mod kube_proxy;
mod manifests;
mod monitoring;
mod mounts;
mod namespace;
mod node;
pub mod objects;
mod page;
mod parent;
mod place;
mod pod;
mod privilege;
mod program;
mod scratch;
mod server;
mod session;
mod sweep;
pub mod wait;

pub use agent::{Agent, AgentBuilder};
pub use binary::binary;
pub use bpf_dir::BpfDir;
pub use call::{Answer, Call};
pub use caller::{Caller, Language, Protocol};
pub use certificate::certificate;
pub use cgroup::Cgroup;
pub use control_plane::{Api, ControlPlane, ControlPlaneBuilder, client};
pub use error::Error;
pub use fabric::Fabric;
pub use hollow::{CgroupDriver, HollowContainer, HollowNode, HollowNodeBuilder, HollowPod};
pub use kube_proxy::{KubeProxy, ProxyMode};
pub use manifests::Manifests;
pub use monitoring::{Alertmanager, Exporter, Prometheus, Rule};
pub use namespace::Namespace;
pub use node::Node;
pub use page::{Page, page};
pub use place::Place;
pub use pod::Pod;
pub use privilege::require_root;
pub use server::Server;
pub use session::Session;
