//! A control plane for all tests; for each a namespace, and nodes with an agent each.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::{LazyLock, Once};

use etm_testkit::{
    Agent, BpfDir, Caller, CgroupDriver, ControlPlane, Fabric, HollowNode, HollowPod, Place,
    Protocol, require_root,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The Services' port.
pub(crate) const PORT: u16 = 80;

const ETM: &str = env!("CARGO_BIN_EXE_etm");

static CLUSTER: LazyLock<ControlPlane> = LazyLock::new(|| {
    require_root().expect("privileges");
    ControlPlane::builder().controllers().start().expect("a control plane")
});

/// Makes etm's own kinds known, and waits until they are served.
pub(crate) fn kinds() {
    static KINDS: Once = Once::new();
    let cluster = &*CLUSTER;
    KINDS.call_once(|| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/kustomize/crds");
        cluster.kubectl(&["apply", "--server-side", "-f", folder]).expect("kinds");
        let waiting = ["wait", "--for=condition=Established", "--timeout=60s", "-f", folder];
        cluster.kubectl(&waiting).expect("kinds that are served");
    });
}

/// A Kubernetes namespace, and nodes that only its Pods are sent to.
pub(crate) struct Scene {
    pub(crate) cluster: &'static ControlPlane,
    pub(crate) namespace: String,
    pub(crate) nodes: Vec<Covered>,
    _fabric: Fabric,
}

/// A node with its agent, which ends first.
pub(crate) struct Covered {
    pub(crate) agent: Agent,
    pub(crate) node: HollowNode,
    pins: BpfDir,
    _state: TempDir,
}

impl Scene {
    pub(crate) fn new(drivers: &[CgroupDriver]) -> Self {
        let cluster = &*CLUSTER;
        let namespace = cluster.namespace().expect("a namespace");
        let fabric = Fabric::new().expect("a fabric");
        let nodes = drivers.iter().enumerate().map(|(number, driver)| {
            let node = HollowNode::builder(cluster, &format!("{namespace}-{number}"))
                .zone(&format!("zone-{number}"))
                .label("for", &namespace)
                .driver(*driver)
                .fabric(&fabric)
                .start()
                .expect("a node");
            Covered::new(cluster, node)
        });
        Self { cluster, nodes: nodes.collect(), namespace, _fabric: fabric }
    }

    pub(crate) fn apply(&self, objects: &[Value]) {
        self.cluster.api().apply(&self.namespace, objects).expect("objects");
    }

    pub(crate) fn path(&self, rest: &str) -> String {
        format!("/api/v1/namespaces/{}/{rest}", self.namespace)
    }

    /// A Pod for this scene's nodes.
    pub(crate) fn pod(&self, name: &str, spec: &Value) -> Value {
        let mut pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": {"app": name}},
            "spec": spec,
        });
        pod["spec"]["nodeSelector"] = json!({"for": self.namespace});
        pod
    }

    /// A Deployment for this scene's nodes.
    pub(crate) fn deployment(&self, name: &str, replicas: u32, spec: &Value) -> Value {
        let template = self.pod(name, spec);
        json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name},
            "spec": {
                "replicas": replicas,
                "strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
                "selector": {"matchLabels": {"app": name}},
                "template": {"metadata": template["metadata"], "spec": template["spec"]},
            },
        })
    }

    /// The addresses that the API server gave a Service, IPv4 first.
    pub(crate) fn addresses_of(&self, service: &str) -> Vec<SocketAddr> {
        let path = self.path(&format!("services/{service}"));
        let object = self.cluster.api().get(&path).expect("an answer").expect("a Service");
        let ips = object["spec"]["clusterIPs"].as_array().into_iter().flatten();
        ips.filter_map(|ip| Some(SocketAddr::new(ip.as_str()?.parse().ok()?, PORT))).collect()
    }
}

impl Covered {
    fn new(cluster: &ControlPlane, node: HollowNode) -> Self {
        let pins = BpfDir::new().expect("a folder for pins");
        let state = tempfile::tempdir().expect("a folder");
        let agent = Agent::of(ETM)
            .on(cluster, &node)
            .pin(pins.path().join("etm"))
            .arg("--state")
            .arg(state.path())
            .start()
            .expect("an agent");
        Self { agent, node, pins, _state: state }
    }

    /// What `etm get WHAT` has, as rows of JSON.
    pub(crate) fn get(&self, what: &str) -> Vec<Value> {
        let mut command = Command::new(ETM);
        command.args(["get", what, "-o", "json", "--pin"]).arg(self.pins.path().join("etm"));
        let output = command.output().expect("etm runs");
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).expect("rows of JSON")
    }

    /// How many backends an address of a Service has on this node; none where it is not there.
    pub(crate) fn members(&self, address: SocketAddr) -> Option<u64> {
        let shown = address.to_string();
        let rows = self.get("services");
        rows.iter().find(|row| row["address"] == shown.as_str())?["backends"].as_u64()
    }

    /// A process of the node itself, as `sshd` or the kubelet are.
    pub(crate) fn own(&self) -> Place {
        self.node.node().place().within(self.node.cgroup())
    }
}

/// A container with a port of the name that [`service`] sends to.
pub(crate) fn container(name: &str, port: u16) -> Value {
    json!({
        "name": name,
        "image": "example.org/web",
        "ports": [{"name": "http", "containerPort": port}],
    })
}

pub(crate) fn service(name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {
            "ipFamilyPolicy": "RequireDualStack",
            "selector": {"app": name},
            "ports": [{"port": PORT, "targetPort": "http"}],
        },
    })
}

/// A caller inside of a Pod's container.
pub(crate) fn caller(pod: &HollowPod, container: &str) -> Caller {
    let container = pod.container(container).expect("a container");
    Caller::new(&container.place, Protocol::Tcp)
}
