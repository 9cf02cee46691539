//! A control plane for all tests, and nodes for each; objects in a few words.

use std::sync::OnceLock;

use etm_testkit::{CgroupDriver, ControlPlane, Fabric, HollowNode, HollowPod};
use serde_json::{Value, json};

/// One for all tests; each has nodes of its own.
pub(crate) fn shared() -> &'static ControlPlane {
    static SHARED: OnceLock<ControlPlane> = OnceLock::new();
    SHARED.get_or_init(|| ControlPlane::builder().controllers().start().expect("a control plane"))
}

/// A Kubernetes namespace, and nodes that only its Pods are sent to.
pub(crate) struct Scene<'a> {
    pub(crate) cluster: &'a ControlPlane,
    pub(crate) namespace: String,
    pub(crate) nodes: Vec<HollowNode>,
    _fabric: Fabric,
}

impl Scene<'static> {
    pub(crate) fn new(drivers: &[CgroupDriver]) -> Self {
        Self::of(shared(), drivers)
    }
}

impl<'a> Scene<'a> {
    pub(crate) fn of(cluster: &'a ControlPlane, drivers: &[CgroupDriver]) -> Self {
        let namespace = cluster.namespace().expect("a namespace");
        let fabric = Fabric::new().expect("a fabric");
        let nodes = drivers.iter().enumerate().map(|(number, driver)| {
            HollowNode::builder(cluster, &format!("{namespace}-{number}"))
                .zone(&format!("zone-{number}"))
                .label("for", &namespace)
                .driver(*driver)
                .fabric(&fabric)
                .start()
                .expect("a node")
        });
        let nodes = nodes.collect();
        Self { cluster, namespace, nodes, _fabric: fabric }
    }

    pub(crate) fn apply(&self, objects: &[Value]) {
        self.cluster.api().apply(&self.namespace, objects).expect("apply");
    }

    pub(crate) fn path(&self, rest: &str) -> String {
        format!("/api/v1/namespaces/{}/{rest}", self.namespace)
    }

    pub(crate) fn endpoints(&self, wanted: impl Fn(&[Value]) -> bool) {
        let path =
            format!("/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices", self.namespace);
        let all = |list: &Value| -> Vec<Value> {
            let slices = items(list).iter();
            slices.filter_map(|slice| slice["endpoints"].as_array()).flatten().cloned().collect()
        };
        let wanted = |list: &Value| wanted(&all(list));
        self.cluster.api().wait(&path, wanted).expect("endpoints");
    }

    pub(crate) fn pod(&self, name: &str, spec: &Value) -> Value {
        let mut pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": {"app": name}},
            "spec": spec,
        });
        pod["spec"]["nodeSelector"] = json!({"for": self.namespace});
        pod["spec"]["terminationGracePeriodSeconds"] = json!(30);
        pod
    }

    pub(crate) fn deployment(&self, name: &str, replicas: u32, spec: &Value) -> Value {
        let template = self.pod(name, spec);
        json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": {"app": name}},
                "template": {"metadata": template["metadata"], "spec": template["spec"]},
            },
        })
    }

    pub(crate) fn running(&self) -> Vec<HollowPod> {
        self.nodes.iter().flat_map(HollowNode::pods).collect()
    }
}

pub(crate) fn service(name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {
            "ipFamilyPolicy": "RequireDualStack",
            "selector": {"app": name},
            "ports": [{"port": 80, "targetPort": "http"}],
        },
    })
}

pub(crate) fn container(name: &str, port: u16) -> Value {
    json!({
        "name": name,
        "image": "example.org/web",
        "ports": [{"name": "http", "containerPort": port}],
    })
}

pub(crate) fn items(list: &Value) -> &[Value] {
    list["items"].as_array().map_or(&[], Vec::as_slice)
}

pub(crate) fn holds(condition: &str) -> impl Fn(&Value) -> bool {
    move |pod| {
        let mut conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
        conditions.any(|c| c["type"] == condition && c["status"] == "True")
    }
}
