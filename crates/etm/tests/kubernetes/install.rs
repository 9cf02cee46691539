//! `etm install`.

use std::path::Path;
use std::process::{Command, Output};

use etm_testkit::ControlPlane;
use serde_json::{Value, json};

use crate::scene::Scene;
use crate::shipped;

const KIND: &str = "customresourcedefinition/trafficpolicies.etm.dev";
const DAEMON_SET: &str = "daemonset/etm-agent";

pub(crate) fn etm(arguments: &[&str], kubeconfig: Option<&Path>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_etm"));
    command.arg("install").args(arguments).env_remove("KUBECONFIG");
    if let Some(kubeconfig) = kubeconfig {
        command.arg("--kubeconfig").arg(kubeconfig);
    }
    command.output().expect("etm runs")
}

pub(crate) fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn it_prints_what_kustomize_does() {
    let scene = Scene::new();
    let printed = shipped::documents(&printed(&etm(&[], None)));
    assert_eq!(printed, shipped::objects(scene.cluster));
}

#[test]
fn it_prints_what_kustomize_does_with_the_certificate_for_outcomes() {
    let scene = Scene::new();
    let options = ["--outcomes", "etm-outcomes"];
    let objects = shipped::documents(&printed(&etm(&options, None)));
    assert_eq!(objects, shipped::kustomized(scene.cluster, shipped::with_outcomes().path()));
    let plain = shipped::objects(scene.cluster);
    let changed: Vec<_> = objects.iter().filter(|object| !plain.contains(object)).collect();
    let kinds: Vec<_> = changed.iter().map(|object| &object["kind"]).collect();
    assert_eq!(kinds, ["Deployment", "DaemonSet"]);

    let objects = shipped::documents(&printed(&etm(&["--outcomes", "mine"], None)));
    for (kind, name) in [("DaemonSet", shipped::ACCOUNT), ("Deployment", shipped::CONTROLLER)] {
        let pod = &shipped::object(&objects, kind, name)["spec"]["template"]["spec"];
        let secret = &pod["volumes"][0]["secret"];
        assert_eq!((&secret["secretName"], &secret["optional"]), (&json!("mine"), &json!(true)));
        let container = &pod["containers"][0];
        assert_eq!(container["volumeMounts"][0]["name"], pod["volumes"][0]["name"]);
        let env = container["env"].as_array().expect("variables");
        let folder = env.iter().find(|one| one["name"] == "ETM_OUTCOMES_TLS").expect("a variable");
        assert_eq!(folder["value"], container["volumeMounts"][0]["mountPath"]);
    }
}

#[test]
fn it_applies_what_it_prints_and_removes_it() {
    // One of its own: some of the objects are the whole cluster's.
    let cluster = ControlPlane::builder().start().expect("a control plane");
    let arguments = ["--namespace", "net", "--api-server", "10.0.0.1:6443", "--image", "etm:x"];
    let run = |verb: &str| etm(&[&[verb], &arguments[..]].concat(), Some(cluster.kubeconfig()));
    let objects = [
        "namespace/net",
        "customresourcedefinition/nodehealths.etm.dev",
        "customresourcedefinition/nodemonitors.etm.dev",
        "customresourcedefinition/nodereports.etm.dev",
        "customresourcedefinition/releases.etm.dev",
        KIND,
        "customresourcedefinition/trafficroutes.etm.dev",
        "serviceaccount/etm-agent",
        "clusterrole/etm-agent",
        "clusterrolebinding/etm-agent",
        DAEMON_SET,
        "serviceaccount/etm-controller",
        "clusterrole/etm-controller",
        "clusterrolebinding/etm-controller",
        "role/etm-controller",
        "rolebinding/etm-controller",
        "service/etm-alerts",
        "deployment/etm-controller",
    ];
    for outcome in ["created", "unchanged"] {
        let expected = objects.map(|object| format!("{object} {outcome}\n")).concat();
        assert_eq!(printed(&run("--apply")), expected);
    }
    let path = "/apis/apps/v1/namespaces/net/daemonsets/etm-agent";
    for path in [path, "/apis/apps/v1/namespaces/net/deployments/etm-controller"] {
        let made = cluster.api().get(path).expect("an answer").expect("an object");
        let container = &made["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(container["image"], "etm:x");
        let given = container["env"].as_array().expect("variables");
        let given = given.iter().find(|variable| variable["name"] == "ETM_API_SERVER");
        assert_eq!(given.map(|variable| &variable["value"]), Some(&Value::from("10.0.0.1:6443")));
    }

    // What others have set is theirs.
    let image = ["set", "image", DAEMON_SET, "agent=mine:1", "--namespace", "net"];
    cluster.kubectl(&image).expect("another image");
    let output = run("--apply");
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.starts_with(&format!("error: could not apply {DAEMON_SET}: others")), "{error}");
    assert!(error.contains("kubectl-set") && !error.contains("Status {"), "{error}");

    let policy = json!({
        "apiVersion": "etm.dev/v1alpha1",
        "kind": "TrafficPolicy",
        "metadata": {"name": "calm"},
        "spec": {"targetRef": {"name": "cart"}},
    });
    // The kind is served by the time that it is all applied.
    let policies = "/apis/etm.dev/v1alpha1/namespaces/net/trafficpolicies";
    cluster.api().create(policies, &policy).expect("a policy");

    let removed = printed(&run("--remove"));
    assert_eq!(removed.lines().filter(|line| line.ends_with(" deleted")).count(), 11, "{removed}");
    let kept = cluster.api().get(&format!("{policies}/calm")).expect("an answer");
    assert!(kept.is_some(), "what users wrote is theirs");
    assert_eq!(cluster.api().get(path).expect("an answer"), None);
    let removed = printed(&run("--remove"));
    assert_eq!(removed.lines().filter(|line| line.ends_with(" absent")).count(), 11, "{removed}");

    // Whoever began with kustomize may go on with this: the same objects, no field in dispute.
    let with_outcomes = shipped::with_outcomes();
    let both = [
        (shipped::folder("kustomize"), &["--apply"][..]),
        (with_outcomes.path().to_owned(), &["--apply", "--outcomes", "etm-outcomes"]),
    ];
    for (folder, options) in both {
        let folder = folder.to_str().expect("a path");
        cluster.kubectl(&["apply", "--server-side", "-k", folder]).expect("objects");
        let applied = printed(&etm(options, Some(cluster.kubeconfig())));
        let unchanged = applied.lines().filter(|line| line.ends_with(" unchanged")).count();
        assert_eq!(unchanged, objects.len(), "{applied}");
    }
}
