//! Hollow nodes: what is applied goes through the real controllers and comes out as processes.
#![expect(clippy::expect_used, reason = "a test fails by panicking, in its scene's set-up as well")]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use etm_testkit::{
    Api, Caller, CgroupDriver, ControlPlane, Error, Fabric, HollowNode, HollowPod, Protocol,
};
use serde_json::{Value, json};

/// One for all tests; each has nodes of its own.
fn shared() -> &'static ControlPlane {
    static SHARED: OnceLock<ControlPlane> = OnceLock::new();
    SHARED.get_or_init(|| ControlPlane::builder().controllers().start().expect("a control plane"))
}

/// A Kubernetes namespace, and nodes that only its Pods are sent to.
struct Scene<'a> {
    cluster: &'a ControlPlane,
    namespace: String,
    nodes: Vec<HollowNode>,
    _fabric: Fabric,
}

impl Scene<'static> {
    fn new(drivers: &[CgroupDriver]) -> Self {
        Self::of(shared(), drivers)
    }
}

impl<'a> Scene<'a> {
    fn of(cluster: &'a ControlPlane, drivers: &[CgroupDriver]) -> Self {
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

    fn apply(&self, objects: &[Value]) {
        self.cluster.api().apply(&self.namespace, objects).expect("apply");
    }

    fn path(&self, rest: &str) -> String {
        format!("/api/v1/namespaces/{}/{rest}", self.namespace)
    }

    fn endpoints(&self, wanted: impl Fn(&[Value]) -> bool) {
        let path =
            format!("/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices", self.namespace);
        let all = |list: &Value| -> Vec<Value> {
            let slices = items(list).iter();
            slices.filter_map(|slice| slice["endpoints"].as_array()).flatten().cloned().collect()
        };
        let wanted = |list: &Value| wanted(&all(list));
        self.cluster.api().wait(&path, wanted).expect("endpoints");
    }

    fn pod(&self, name: &str, spec: &Value) -> Value {
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

    fn deployment(&self, name: &str, replicas: u32, spec: &Value) -> Value {
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

    fn running(&self) -> Vec<HollowPod> {
        self.nodes.iter().flat_map(HollowNode::pods).collect()
    }
}

fn service(name: &str) -> Value {
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

fn container(name: &str, port: u16) -> Value {
    json!({
        "name": name,
        "image": "example.org/web",
        "ports": [{"name": "http", "containerPort": port}],
    })
}

fn items(list: &Value) -> &[Value] {
    list["items"].as_array().map_or(&[], Vec::as_slice)
}

fn holds(condition: &str) -> impl Fn(&Value) -> bool {
    move |pod| {
        let mut conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
        conditions.any(|c| c["type"] == condition && c["status"] == "True")
    }
}

fn is_in_cgroup(pid: u32, cgroup: &Path) -> bool {
    let path = cgroup.join("cgroup.procs");
    let processes = std::fs::read_to_string(path).unwrap_or_default();
    processes.lines().any(|line| line == pid.to_string())
}

#[test]
fn a_deployment_becomes_ready_endpoints_and_ends_gracefully() {
    let scene = Scene::new(&[CgroupDriver::Systemd, CgroupDriver::Cgroupfs]);
    let mut web = container("web", 8080);
    web["lifecycle"] = json!({"preStop": {"sleep": {"seconds": 2}}});
    let spread = json!([{
        "maxSkew": 1,
        "topologyKey": "topology.kubernetes.io/zone",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}},
    }]);
    let spec = json!({"containers": [web], "topologySpreadConstraints": spread});
    scene.apply(&[service("web"), scene.deployment("web", 3, &spec)]);

    let ready = |endpoint: &Value| endpoint["conditions"]["ready"] == true;
    scene.endpoints(|all| all.len() == 6 && all.iter().all(ready));
    scene.endpoints(|all| {
        let zones = all.iter().filter_map(|endpoint| endpoint["zone"].as_str());
        zones.collect::<std::collections::BTreeSet<_>>().len() == 2
    });
    let pods = scene.running();
    assert_eq!(pods.len(), 3);
    // Every Pod answers every Pod, over both families, also from node to node.
    for (from, to) in pods.iter().flat_map(|from| pods.iter().map(move |to| (from, to))) {
        let caller = Caller::new(&from.containers[0].place, Protocol::Tcp);
        for address in &to.addresses {
            let call = caller.call(SocketAddr::new(*address, 8080)).expect("a call");
            assert_eq!(call.pod(), Some(to.name.as_str()), "{call:?}");
        }
    }

    let scale = format!("/apis/apps/v1/namespaces/{}/deployments/web/scale", scene.namespace);
    shared().api().merge(&scale, &json!({"spec": {"replicas": 1}})).expect("a patch");
    // For two seconds the two that go still serve.
    let going = |endpoint: &Value| {
        let conditions = &endpoint["conditions"];
        conditions["terminating"] == true && conditions["serving"] == true && !ready(endpoint)
    };
    scene.endpoints(|all| all.iter().filter(|endpoint| going(endpoint)).count() == 4);
    scene.endpoints(|all| all.len() == 2 && all.iter().all(ready));
    let left = |list: &Value| items(list).len() == 1;
    shared().api().wait(&scene.path("pods"), left).expect("one Pod");
    assert_eq!(scene.running().len(), 1);
    let gone = pods.iter().filter(|pod| !pod.cgroup.exists()).count();
    assert_eq!(gone, 2, "the cgroups of those that ended");
}

#[test]
fn cgroups_are_laid_out_as_kubelet_does() {
    for driver in [CgroupDriver::Systemd, CgroupDriver::Cgroupfs] {
        let scene = Scene::new(&[driver]);
        let with = |resources: Value| {
            let mut container = container("main", 80);
            container["resources"] = resources;
            json!({"containers": [container]})
        };
        let room = json!({"cpu": "10m", "memory": "16Mi"});
        scene.apply(&[
            scene.pod("guaranteed", &with(json!({"requests": room, "limits": room}))),
            scene.pod("burstable", &with(json!({"requests": room}))),
            scene.pod("besteffort", &with(json!({}))),
        ]);
        let node = &scene.nodes[0];
        for class in ["guaranteed", "burstable", "besteffort"] {
            let pod = node.pod(&scene.namespace, class).expect("a Pod");
            let main = pod.container("main").expect("a container");
            let (uid, id) = (&pod.uid, &main.id);
            let expected = match driver {
                CgroupDriver::Systemd => {
                    let uid = uid.replace('-', "_");
                    let scope = format!("cri-containerd-{id}.scope");
                    match class {
                        "guaranteed" => format!("kubepods.slice/kubepods-pod{uid}.slice/{scope}"),
                        class => format!(
                            "kubepods.slice/kubepods-{class}.slice/\
                             kubepods-{class}-pod{uid}.slice/{scope}"
                        ),
                    }
                }
                CgroupDriver::Cgroupfs if class == "guaranteed" => {
                    format!("kubepods/pod{uid}/{id}")
                }
                CgroupDriver::Cgroupfs => format!("kubepods/{class}/pod{uid}/{id}"),
            };
            assert_eq!(main.cgroup, node.cgroup().path().join(expected));
            assert!(is_in_cgroup(main.process, &main.cgroup));
            let path = scene.path(&format!("pods/{class}"));
            let object = shared().api().wait(&path, holds("Ready")).expect("a ready Pod");
            let told = object["status"]["containerStatuses"][0]["containerID"].as_str();
            assert_eq!(told, Some(format!("containerd://{id}").as_str()));
        }
    }
}

#[test]
fn tests_have_a_say_in_readiness_and_in_when_containers_run() {
    let scene = Scene::new(&[CgroupDriver::Systemd]);
    let (node, namespace) = (&scene.nodes[0], &scene.namespace);
    node.hold("late").expect("an order");
    let late = json!({"name": "late", "image": "example.org/late"});
    let init = json!([{"name": "first", "image": "example.org/first"}]);
    let spec = json!({"initContainers": init, "containers": [container("web", 8080), late]});
    scene.apply(&[scene.pod("web", &spec)]);
    let path = scene.path("pods/web");
    let state = |pod: &Value, at: usize, state: &str| {
        pod["status"]["containerStatuses"][at]["state"][state].is_object()
    };
    let waits = |pod: &Value| state(pod, 0, "running") && state(pod, 1, "waiting");
    let pod = shared().api().wait(&path, waits).expect("a waiting container");
    assert!(!holds("Ready")(&pod) && pod["status"]["phase"] == "Pending", "{pod}");
    assert_eq!(pod["status"]["initContainerStatuses"][0]["state"]["terminated"]["exitCode"], 0);

    node.release("late").expect("an order");
    shared().api().wait(&path, holds("Ready")).expect("a ready Pod");
    node.set_ready(namespace, "web", false).expect("an order");
    let pod = shared().api().get(&path).expect("a call").expect("a Pod");
    assert!(!holds("Ready")(&pod) && holds("PodScheduled")(&pod), "{pod}");

    let before = node.pod(namespace, "web").expect("a Pod");
    node.restart(namespace, "web", "web").expect("an order");
    let after = node.pod(namespace, "web").expect("a Pod");
    let (before, after) = (before.container("web"), after.container("web"));
    let (before, after) = (before.expect("a container"), after.expect("a container"));
    assert!(before.id != after.id && !before.cgroup.exists() && after.cgroup.exists());
    let missing = node.restart(namespace, "web", "no-such").expect_err("no such container");
    assert!(matches!(missing, Error::NoSuchPod { .. }), "{missing}");
}

#[test]
fn a_pod_in_the_nodes_network_has_its_addresses_and_reaches_the_api_server() {
    let scene = Scene::new(&[CgroupDriver::Cgroupfs]);
    let node = &scene.nodes[0];
    let mut agent = container("agent", 9000);
    agent["ports"][0]["hostPort"] = json!(9000);
    scene.apply(&[scene.pod("agent", &json!({"hostNetwork": true, "containers": [agent]}))]);
    let pod = node.pod(&scene.namespace, "agent").expect("a Pod");
    assert_eq!(pod.addresses[0], node.node().ipv4());
    // The node's network has a loopback of its own; the address leads to the API server anyway.
    let address = shared().address();
    let caller = Caller::new(&pod.containers[0].place, Protocol::Tcp);
    let call = caller.call(address).expect("a call");
    assert_eq!(call.peer, Some(address), "{call:?}");
}

#[test]
fn a_node_that_is_dropped_leaves_nothing_and_one_that_crashes_stays_known() {
    let mut scene = Scene::new(&[CgroupDriver::Systemd, CgroupDriver::Systemd]);
    let pods = [0, 1].map(|number| {
        let mut pod =
            scene.pod(&format!("pod-{number}"), &json!({"containers": [container("web", 80)]}));
        let name = format!("{}-{number}", scene.namespace);
        pod["spec"]["nodeSelector"] = json!({"kubernetes.io/hostname": name});
        pod
    });
    scene.apply(&pods);
    let running: Vec<HollowPod> = (0..2)
        .map(|n| scene.nodes[n].pod(&scene.namespace, &format!("pod-{n}")).expect("a Pod"))
        .collect();
    let (second, first) = (scene.nodes.pop(), scene.nodes.pop());
    let (second, first) = (second.expect("a node"), first.expect("a node"));
    let names = [&first, &second].map(|node| format!("/api/v1/nodes/{}", node.name()));
    drop(first);
    second.crash();
    for pod in &running {
        let process = pod.containers[0].process;
        assert!(!pod.cgroup.exists() && !Path::new(&format!("/proc/{process}")).exists());
    }
    let api = Api::new(shared().kubeconfig()).expect("a client");
    let known = |path: &str| api.get(path).expect("a call").is_some();
    assert_eq!([known(&names[0]), known(&names[1])], [false, true]);
    api.delete(&names[1]).expect("a deletion");
}

#[test]
fn what_is_deleted_by_force_is_gone_at_once() {
    let scene = Scene::new(&[CgroupDriver::Systemd]);
    let mut web = container("web", 8080);
    web["lifecycle"] = json!({"preStop": {"sleep": {"seconds": 25}}});
    scene.apply(&[scene.pod("web", &json!({"containers": [web]}))]);
    let pod = scene.nodes[0].pod(&scene.namespace, "web").expect("a Pod");
    let pods = scene.path("pods/web?gracePeriodSeconds=0");
    shared().api().delete(&pods).expect("a deletion");
    let deadline = Instant::now() + Duration::from_secs(15);
    while pod.cgroup.exists() {
        assert!(Instant::now() < deadline, "its cgroup is still there");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_node_makes_up_for_the_absence_of_the_api_server() {
    let cluster = ControlPlane::builder().controllers().start().expect("a control plane");
    let scene = Scene::of(&cluster, &[CgroupDriver::Systemd]);
    let (node, namespace) = (&scene.nodes[0], &scene.namespace);
    let spec = json!({"containers": [container("web", 8080)]});
    scene.apply(&[scene.pod("web", &spec), scene.pod("leaves", &spec)]);
    for name in ["web", "leaves"] {
        cluster.api().wait(&scene.path(&format!("pods/{name}")), holds("Ready")).expect("ready");
    }
    cluster.kill_api_server().expect("an end");
    node.set_ready(namespace, "web", false).expect("an order");
    cluster.start_api_server().expect("a start");
    cluster.api().wait(&scene.path("pods/web"), |pod| !holds("Ready")(pod)).expect("not ready");
    cluster.api().delete(&scene.path("pods/leaves")).expect("a deletion");
    let left = |list: &Value| items(list).len() == 1;
    cluster.api().wait(&scene.path("pods"), left).expect("one Pod");
    assert_eq!(node.pods().len(), 1);
}
