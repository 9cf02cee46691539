//! A control plane starts, works, survives a restart of its parts, and leaves nothing behind.
#![expect(clippy::expect_used, reason = "a test fails by panicking, in its scene's set-up as well")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use etm_testkit::{Api, ControlPlane, Error};
use serde_json::{Value, json};

/// One for the tests that do not end parts of it.
fn shared() -> &'static ControlPlane {
    static SHARED: OnceLock<ControlPlane> = OnceLock::new();
    SHARED.get_or_init(|| ControlPlane::builder().controllers().start().expect("a control plane"))
}

fn service(name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {
            "ipFamilyPolicy": "RequireDualStack",
            "selector": {"app": name},
            "ports": [{"port": 80, "targetPort": 8080}],
        },
    })
}

fn deployment(name: &str, replicas: u32) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "web", "image": "example.org/web"}]},
            },
        },
    })
}

fn items(list: &Value) -> &[Value] {
    list["items"].as_array().map_or(&[], Vec::as_slice)
}

fn is_alive(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}

/// Where its data are.
fn folder(cluster: &ControlPlane) -> PathBuf {
    cluster.kubeconfig().parent().expect("a folder").to_owned()
}

#[test]
fn a_deployment_goes_through_the_real_controllers() {
    let cluster = shared();
    let namespace = cluster.namespace().expect("a namespace");
    cluster.api().apply(&namespace, &[service("web"), deployment("web", 2)]).expect("apply");

    let pods = format!("/api/v1/namespaces/{namespace}/pods");
    let pods = cluster.api().wait(&pods, |list| items(list).len() == 2).expect("two Pods");
    for pod in items(&pods) {
        let owner = &pod["metadata"]["ownerReferences"][0];
        assert_eq!(
            (owner["kind"].as_str(), &pod["status"]["phase"]),
            (Some("ReplicaSet"), &json!("Pending"))
        );
    }
    let slices = format!("/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices");
    let slices = cluster.api().wait(&slices, |list| items(list).len() == 2).expect("two slices");
    let mut families: Vec<_> =
        items(&slices).iter().filter_map(|slice| slice["addressType"].as_str()).collect();
    families.sort_unstable();
    assert_eq!(families, ["IPv4", "IPv6"]);

    let path = format!("/api/v1/namespaces/{namespace}/services/web");
    let web = cluster.api().get(&path).expect("a call").expect("a Service");
    let addresses = web["spec"]["clusterIPs"].as_array().expect("addresses");
    let starts = ["10.96.", "fd00:10:96:"];
    let of_range = |(address, start): (&Value, &str)| {
        address.as_str().is_some_and(|address| address.starts_with(start))
    };
    assert!(addresses.iter().zip(starts).all(of_range), "{addresses:?}");
}

#[test]
fn kubectl_tells_the_version_that_was_built() {
    let cluster = shared();
    let modules = include_str!("../../../hack/control-plane/go.mod");
    let line = modules.lines().find(|line| line.trim_start().starts_with("k8s.io/kubernetes v"));
    let version = line.and_then(|line| line.split_whitespace().nth(1)).expect("a version");
    let said = cluster.kubectl(&["version"]).expect("kubectl");
    assert_eq!(said.matches(version).count(), 2, "{said}");
    let input = service("by-kubectl").to_string();
    let namespace = cluster.namespace().expect("a namespace");
    cluster.kubectl_with(&["apply", "-n", &namespace, "-f", "-"], &input).expect("apply");
    let error =
        cluster.kubectl(&["get", "service", "-n", &namespace, "no-such"]).expect_err("none");
    assert!(error.to_string().contains("NotFound"), "{error}");
}

#[test]
fn users_have_the_rights_that_they_are_given() {
    let cluster = shared();
    let namespace = cluster.namespace().expect("a namespace");
    let pods = format!("/api/v1/namespaces/{namespace}/pods");
    let refused = |kubeconfig: &Path| {
        let error = Api::new(kubeconfig).expect("a client").get(&pods).expect_err("no rights");
        let text = format!("{error:?}");
        assert!(matches!(error, Error::Api { .. }) && text.contains("forbidden"), "{text}");
    };
    refused(&cluster.user("alice", &["developers"]).expect("a user"));
    let account = cluster.service_account(&namespace, "default").expect("an account");
    refused(&account);

    let group = format!("system:serviceaccounts:{namespace}");
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "view"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": group}],
    });
    cluster.api().apply(&namespace, &[binding]).expect("apply");
    let client = Api::new(&account).expect("a client");
    // The authorizer learns of a binding by a watch of its own.
    let deadline = Instant::now() + Duration::from_secs(20);
    while client.get(&pods).is_err() {
        assert!(Instant::now() < deadline, "the binding never counted");
        sleep(Duration::from_millis(10));
    }
}

#[test]
fn objects_outlive_the_api_server_and_etcd_but_nothing_outlives_the_handle() {
    let cluster = ControlPlane::builder().start().expect("a control plane");
    cluster.api().apply("default", &[service("lasting")]).expect("apply");
    let path = "/api/v1/namespaces/default/services/lasting";
    let before = cluster.api().get(path).expect("a call").expect("a Service");

    cluster.stop_api_server().expect("an end");
    assert!(cluster.api().get(path).is_err() && cluster.api_server_id().is_none());
    cluster.start_api_server().expect("a start");
    assert_eq!(cluster.api().get(path).expect("a call").as_ref(), Some(&before));

    cluster.kill_api_server().expect("an end");
    cluster.kill_etcd().expect("an end");
    cluster.start_etcd().expect("etcd");
    cluster.start_api_server().expect("a start");
    assert_eq!(cluster.api().get(path).expect("a call"), Some(before));

    let (pid, folder) = (cluster.api_server_id().expect("it runs"), folder(&cluster));
    assert!(is_alive(pid) && folder.exists());
    drop(cluster);
    assert!(!is_alive(pid) && !folder.exists());
}

#[test]
fn what_etcd_has_forgotten_is_gone() {
    // Without its cache the API server asks etcd for each version.
    let builder = ControlPlane::builder().api_server_arg("--watch-cache=false");
    let cluster = builder.start().expect("a control plane");
    let services = "/api/v1/namespaces/default/services";
    let list = cluster.api().get(services).expect("a call").expect("a list");
    let version = list["metadata"]["resourceVersion"].as_str().expect("a version");
    let exact = format!("{services}?resourceVersion={version}&resourceVersionMatch=Exact");
    cluster.api().get(&exact).expect("still there");

    cluster.api().apply("default", &[service("newer")]).expect("apply");
    cluster.compact().expect("a compaction");
    let error = format!("{:?}", cluster.api().get(&exact).expect_err("forgotten"));
    assert!(error.contains("Expired"), "{error}");
}

/// Not a test by itself: it is run by the one below, in a process that is killed.
#[test]
#[ignore = "never ends"]
fn a_control_plane_that_stays() {
    let cluster = ControlPlane::builder().start().expect("a control plane");
    println!("pid {} in {}", cluster.api_server_id().expect("it runs"), folder(&cluster).display());
    sleep(Duration::from_secs(1_000));
}

#[test]
fn it_ends_with_a_test_that_is_killed() {
    use std::io::{BufRead as _, BufReader};
    use std::process::Stdio;

    let this = std::env::current_exe().expect("a path");
    let mut child = Command::new(this)
        .args(["--exact", "a_control_plane_that_stays", "--ignored", "--nocapture"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the same tests");
    let mut lines = BufReader::new(child.stdout.take().expect("stdout")).lines();
    let line = lines
        .find_map(|line| Some(line.ok()?.split_once("pid ")?.1.to_owned()))
        .expect("a control plane");
    let (pid, folder) = line.split_once(" in ").expect("pid and folder");
    let pid: u32 = pid.parse().expect("a number");
    assert!(is_alive(pid));
    child.kill().expect("a kill");
    child.wait().expect("an end");
    let deadline = Instant::now() + Duration::from_secs(10);
    while is_alive(pid) || Path::new(folder).exists() {
        assert!(Instant::now() < deadline, "the API server or its data outlived their test");
        sleep(Duration::from_millis(5));
    }
}
