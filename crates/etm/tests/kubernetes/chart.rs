//! The Helm chart says what kustomize and `etm install` say.

use std::process::Command;

use serde_json::Value;

use crate::install::{etm, printed};
use crate::scene::Scene;
use crate::shipped::{self, ACCOUNT, CONTROLLER, NAMESPACE};

fn helm(arguments: &[&str]) -> String {
    let home = tempfile::tempdir().expect("a folder");
    let output = Command::new(shipped::beside_build("helm/helm"))
        .args(arguments)
        .env("HOME", home.path())
        .output();
    let output = output.expect("helm runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// Its objects with some values, by kind.
fn rendered(values: &[&str]) -> Vec<Value> {
    let chart = shipped::folder("helm/etm");
    let chart = chart.to_str().expect("a path");
    let values = values.iter().flat_map(|value| ["--set", value]);
    let words = ["template", "etm", chart, "--include-crds", "--namespace", NAMESPACE]
        .into_iter()
        .chain(values);
    sorted(shipped::documents(&helm(&words.collect::<Vec<_>>())))
}

/// By kind and name, without what Helm leaves to its user.
fn sorted(objects: Vec<Value>) -> Vec<Value> {
    let mut objects = objects;
    objects.retain(|object| object["kind"] != "Namespace");
    objects
        .sort_by_key(|object| (object["kind"].to_string(), object["metadata"]["name"].to_string()));
    objects
}

#[test]
fn it_is_well_formed() {
    let chart = shipped::folder("helm/etm");
    helm(&["lint", "--strict", chart.to_str().expect("a path")]);
    let text = std::fs::read_to_string(chart.join("Chart.yaml")).expect("a chart");
    let chart: Value = serde_saphyr::from_str(&text).expect("YAML");
    assert_eq!(chart["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn it_gives_what_kustomize_gives() {
    let scene = Scene::new();
    assert_eq!(rendered(&[]), sorted(shipped::objects(scene.cluster)));
}

#[test]
fn its_values_do_what_the_options_of_install_do() {
    let image = ["image.repository=mine/etm", "image.tag=x"];
    let servers = "apiServers={10.0.0.1:6443,10.0.0.2}";
    let more = [servers, "unknownPort=refuse", "staleConnections=keep"];
    let options = [
        "--image",
        "mine/etm:x",
        "--api-server",
        "10.0.0.1:6443,10.0.0.2",
        "--unknown-port",
        "refuse",
        "--stale-connections",
        "keep",
    ];
    let installed = |options: &[&str]| sorted(shipped::documents(&printed(&etm(options, None))));
    assert_eq!(
        rendered(&image.iter().chain(&more).copied().collect::<Vec<_>>()),
        installed(&options)
    );
    assert_eq!(rendered(&["detach=true"]), installed(&["--detach"]));
    let outcomes = ["outcomes.enabled=true", "outcomes.secretName=mine"];
    assert_eq!(rendered(&outcomes), installed(&["--outcomes", "mine"]));
}

#[test]
fn agents_are_asked_where_they_answer() {
    let objects = rendered(&["outcomes.enabled=true", "outcomes.address=::", "outcomes.port=9500"]);
    let variable = |kind: &str, name: &str, variable: &str| {
        let object = shipped::object(&objects, kind, name);
        let env = &object["spec"]["template"]["spec"]["containers"][0]["env"];
        let mut found = env.as_array().expect("variables").iter();
        found.find(|one| one["name"] == variable).map(|one| one["value"].clone())
    };
    assert_eq!(variable("DaemonSet", ACCOUNT, "ETM_OUTCOMES"), Some("[::]:9500".into()));
    assert_eq!(variable("Deployment", CONTROLLER, "ETM_OUTCOMES_PORT"), Some("9500".into()));
}

#[test]
fn probes_go_where_the_admin_server_is() {
    for (address, variable, probed) in [
        ("0.0.0.0", "0.0.0.0:9441", "127.0.0.1"),
        ("::", "[::]:9441", "127.0.0.1"),
        ("10.0.0.7", "10.0.0.7:9441", "10.0.0.7"),
    ] {
        let address = format!("admin.address={address}");
        let objects = rendered(&[&address, "admin.port=9441"]);
        let daemon_set = shipped::object(&objects, "DaemonSet", ACCOUNT);
        let container = &daemon_set["spec"]["template"]["spec"]["containers"][0];
        let env = container["env"].as_array().expect("variables");
        let admin = env.iter().find(|one| one["name"] == "ETM_ADMIN").expect("a variable");
        assert_eq!(admin["value"], variable);
        for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
            let get = &container[probe]["httpGet"];
            assert_eq!((&get["host"], &get["port"]), (&probed.into(), &9441.into()), "{probe}");
        }
    }
}

/// How many objects of a kind are the controller's.
fn of_controller(objects: &[Value], kind: &str) -> usize {
    let own = |object: &&Value| object["metadata"]["name"] == CONTROLLER && object["kind"] == kind;
    objects.iter().filter(own).count()
}

#[test]
fn the_controller_may_be_left_out_or_doubled() {
    let kinds = ["ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"];
    let count = |objects: &[Value], kinds: &[&str]| -> usize {
        kinds.iter().map(|kind| of_controller(objects, kind)).sum()
    };
    let without = rendered(&["controller.enabled=false", "controller.replicas=2"]);
    let more = ["Deployment", "PodDisruptionBudget"];
    assert_eq!((count(&without, &kinds), count(&without, &more)), (0, 0));
    shipped::object(&without, "DaemonSet", ACCOUNT);

    let two = rendered(&["controller.replicas=2", "controller.admin.address=::"]);
    assert_eq!(count(&two, &kinds), 5);
    let deployment = shipped::object(&two, "Deployment", CONTROLLER);
    assert_eq!(deployment["spec"]["replicas"], 2);
    let template = &deployment["spec"]["template"];
    assert_eq!(template["spec"]["containers"][0]["env"][0]["value"], "[::]:9440");
    let budget = shipped::object(&two, "PodDisruptionBudget", CONTROLLER);
    assert_eq!(budget["spec"]["selector"], deployment["spec"]["selector"]);
    assert_eq!(of_controller(&rendered(&[]), "PodDisruptionBudget"), 0);
}
