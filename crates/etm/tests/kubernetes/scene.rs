//! What a test starts from: the API server that all share, a Kubernetes namespace in it, and a
//! node with a cgroup and a folder for pins.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{
    LazyLock, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
};

use etm_testkit::{
    Agent, AgentBuilder, BpfDir, Caller, Cgroup, ControlPlane, Node, Pod, Protocol, Server,
    objects, require_root,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::shipped;

/// The Services' port, and that of their Pods.
pub(crate) const PORT: u16 = 80;
pub(crate) const POD_PORT: u16 = 8080;

static CLUSTER: LazyLock<ControlPlane> = LazyLock::new(|| {
    let cluster = ControlPlane::builder().start().expect("a control plane");
    shipped::apply_kinds(&cluster);
    cluster
});

/// Without lists that are streamed, as servers before Kubernetes 1.34 have it by default.
static PAGING: LazyLock<ControlPlane> = LazyLock::new(|| {
    let gate = "--feature-gates=WatchList=false";
    let cluster = ControlPlane::builder().api_server_arg(gate).start().expect("a control plane");
    shipped::apply_kinds(&cluster);
    shipped::apply_gateway_kinds(&cluster);
    cluster
});

/// For policies that cannot be honoured, of which every agent of a cluster tells.
static POLICIES: LazyLock<ControlPlane> = LazyLock::new(|| {
    let cluster = ControlPlane::builder().start().expect("a control plane");
    shipped::apply_kinds(&cluster);
    cluster
});

/// Without etm's own kinds, until a test adds them.
static BARE: LazyLock<ControlPlane> =
    LazyLock::new(|| ControlPlane::builder().start().expect("a control plane"));

/// Without the Gateway API's kinds, until a test adds them.
static LATER: LazyLock<ControlPlane> = LazyLock::new(|| {
    let cluster = ControlPlane::builder().start().expect("a control plane");
    shipped::apply_kinds(&cluster);
    cluster
});

/// For controllers, which write to every namespace: for one test at a time. Its lists are not
/// streamed, so that the right to list is missed.
static CONTROLLED: LazyLock<ControlPlane> = LazyLock::new(|| {
    let gate = "--feature-gates=WatchList=false";
    let cluster = ControlPlane::builder().api_server_arg(gate).start().expect("a control plane");
    shipped::apply_gateway_kinds(&cluster);
    cluster
});

static CONTROLLERS: Mutex<()> = Mutex::new(());

/// Held to write by those who stop the API server that the others use.
static QUIET: RwLock<()> = RwLock::new(());

pub(crate) struct Scene {
    pub(crate) cluster: &'static ControlPlane,
    pub(crate) namespace: String,
    pub(crate) node: Node,
    pub(crate) cgroup: Cgroup,
    pub(crate) pins: BpfDir,
    pub(crate) state: TempDir,
    pub(crate) admin: SocketAddr,
    _peace: Peace,
}

/// Whether others may use the API server meanwhile.
enum Peace {
    Shared(#[expect(dead_code, reason = "held")] RwLockReadGuard<'static, ()>),
    Alone(#[expect(dead_code, reason = "held")] RwLockWriteGuard<'static, ()>),
    Controlled(#[expect(dead_code, reason = "held")] MutexGuard<'static, ()>),
}

/// A Pod that serves; its server ends with it.
pub(crate) struct Backend {
    pub(crate) pod: Pod,
    _server: Server,
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self::with(Peace::Shared(QUIET.read().unwrap_or_else(PoisonError::into_inner)))
    }

    /// For tests that do to the API server what others would not survive.
    pub(crate) fn alone() -> Self {
        Self::with(Peace::Alone(QUIET.write().unwrap_or_else(PoisonError::into_inner)))
    }

    /// With an API server of its own that is asked for pages.
    pub(crate) fn paging() -> Self {
        let peace = Peace::Shared(QUIET.read().unwrap_or_else(PoisonError::into_inner));
        Self::of(&PAGING, peace)
    }

    /// With an API server for policies that cannot be honoured.
    pub(crate) fn policies() -> Self {
        let peace = Peace::Shared(QUIET.read().unwrap_or_else(PoisonError::into_inner));
        Self::of(&POLICIES, peace)
    }

    /// With an API server of its own that does not know etm's kinds yet, for one test.
    pub(crate) fn bare() -> Self {
        let peace = Peace::Shared(QUIET.read().unwrap_or_else(PoisonError::into_inner));
        Self::of(&BARE, peace)
    }

    /// With an API server of its own that does not know the Gateway API's kinds yet, for one test.
    pub(crate) fn later() -> Self {
        let peace = Peace::Shared(QUIET.read().unwrap_or_else(PoisonError::into_inner));
        Self::of(&LATER, peace)
    }

    /// With an API server that no other controller than this test's writes to.
    pub(crate) fn controlled() -> Self {
        let peace = CONTROLLERS.lock().unwrap_or_else(PoisonError::into_inner);
        shipped::apply_kinds(&CONTROLLED);
        Self::of(&CONTROLLED, Peace::Controlled(peace))
    }

    fn with(peace: Peace) -> Self {
        Self::of(&CLUSTER, peace)
    }

    fn of(cluster: &'static ControlPlane, peace: Peace) -> Self {
        require_root().expect("privileges");
        Self {
            cluster,
            namespace: cluster.namespace().expect("a namespace"),
            node: Node::new().expect("a node"),
            cgroup: Cgroup::new().expect("a cgroup"),
            pins: BpfDir::new().expect("a folder for pins"),
            state: tempfile::tempdir().expect("a folder"),
            admin: free(),
            _peace: peace,
        }
    }

    /// An agent that follows the API server as administrator.
    pub(crate) fn agent(&self) -> AgentBuilder {
        self.agent_with(self.cluster.kubeconfig())
    }

    /// An agent that follows the API server of a kubeconfig.
    pub(crate) fn agent_with(&self, kubeconfig: &Path) -> AgentBuilder {
        self.agent_without_kubeconfig().arg("--kubeconfig").arg(kubeconfig)
    }

    /// An agent that still has to be told how to reach the API server.
    pub(crate) fn agent_without_kubeconfig(&self) -> AgentBuilder {
        Agent::of(env!("CARGO_BIN_EXE_etm"))
            .arg("--kubernetes")
            .node(&self.namespace)
            .cgroup(&self.cgroup)
            .pin(self.pins.path().join("etm"))
            .arg("--state")
            .arg(self.state.path())
            .arg("--admin")
            .arg(self.admin.to_string())
    }

    /// A Pod that serves [`POD_PORT`].
    pub(crate) fn backend(&self, name: &str) -> Backend {
        let pod = self.node.pod(name).expect("a Pod");
        let server = pod.serve(&[POD_PORT], &[]).expect("a server");
        Backend { pod, _server: server }
    }

    /// A caller in a Pod of its own that the agent covers.
    pub(crate) fn caller(&self) -> (Pod, Caller) {
        let pod = self.node.pod("client").expect("a Pod");
        let caller = Caller::new(&pod.place().within(&self.cgroup), Protocol::Tcp);
        (pod, caller)
    }

    /// Makes a Service, and gives the address that the API server chose for it.
    pub(crate) fn service(&self, name: &str) -> SocketAddr {
        let made = self.create("services", service(name).into());
        address_of(&made)
    }

    /// Makes a slice of a Service with these endpoints.
    pub(crate) fn slice(&self, name: &str, service: &str, endpoints: &[IpAddr]) {
        self.create("endpointslices", slice(name, service, endpoints).into());
    }

    /// Makes an object in this test's namespace.
    pub(crate) fn create(&self, kind: &str, object: Value) -> Value {
        let object = self.named(object);
        self.cluster.api().create(&self.path(kind, ""), &object).expect("an object")
    }

    /// Changes an object, or makes it.
    pub(crate) fn apply(&self, object: Value) {
        let object = self.named(object);
        self.cluster.api().apply(&self.namespace, &[object]).expect("an object");
    }

    pub(crate) fn delete(&self, kind: &str, name: &str) {
        self.cluster.api().delete(&self.path(kind, name)).expect("no object");
    }

    /// The path of an object, or without a name of all of its kind.
    pub(crate) fn path(&self, kind: &str, name: &str) -> String {
        let group = match kind {
            "endpointslices" => "apis/discovery.k8s.io/v1",
            "trafficpolicies" | "releases" | "trafficroutes" => "apis/etm.dev/v1alpha1",
            "tcproutes" | "udproutes" | "grpcroutes" | "httproutes" | "referencegrants" => {
                "apis/gateway.networking.k8s.io/v1"
            }
            "leases" => "apis/coordination.k8s.io/v1",
            _ => "api/v1",
        };
        let path = format!("/{group}/namespaces/{}/{kind}", self.namespace);
        if name.is_empty() { path } else { format!("{path}/{name}") }
    }

    fn named(&self, mut object: Value) -> Value {
        object["metadata"]["namespace"] = json!(self.namespace);
        if let Some(metadata) = object["metadata"].as_object_mut() {
            // That is for the API server to say.
            metadata.remove("uid");
        }
        object
    }
}

pub(crate) fn service(name: &str) -> objects::Service {
    let service = objects::Service::new(name, &[]).port("http", "TCP", PORT, POD_PORT);
    service.set("spec", json!({"ports": [{"name": "http", "port": PORT, "targetPort": POD_PORT}]}))
}

pub(crate) fn slice(name: &str, service: &str, endpoints: &[IpAddr]) -> objects::EndpointSlice {
    let slice = objects::EndpointSlice::new(name, service, "IPv4").port("http", "TCP", POD_PORT);
    endpoints.iter().fold(slice, |slice, address| slice.endpoint(*address, true))
}

/// The cluster IP of a Service, with [`PORT`].
pub(crate) fn address_of(service: &Value) -> SocketAddr {
    let ip = service["spec"]["clusterIP"].as_str().expect("a cluster IP");
    SocketAddr::new(ip.parse().expect("an address"), PORT)
}

/// Addresses that no Pod needs to have.
pub(crate) fn addresses(count: u8) -> Vec<IpAddr> {
    (1..=count).map(|last| IpAddr::from([10, 244, 9, last])).collect()
}

/// An address that nobody listens on.
pub(crate) fn free() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    listener.local_addr().expect("an address")
}
