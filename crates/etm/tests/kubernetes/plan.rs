//! `etm plan --kubernetes`: what files would change of what a real API server has, and nothing written.

use std::fs;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::proxy::Proxy;
use crate::releases::release;
use crate::routes::route;
use crate::scene::{Scene, addresses};

const CALLERS: usize = 20;

/// Services `web` and its versions, callers `caller-00` on, and `tester`.
fn shop() -> Scene {
    let scene = Scene::new();
    for (service, endpoints) in [("web", 3), ("web-1", 3), ("web-2", 1)] {
        scene.service(service);
        scene.slice(&format!("{service}-1"), service, &addresses(endpoints));
    }
    let account = json!({
        "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"},
    });
    scene.apply(account);
    let names = (0..CALLERS).map(|number| (format!("caller-{number:02}"), "no"));
    for (name, tester) in names.chain([("tester".to_owned(), "yes")]) {
        scene.create(
            "pods",
            json!({
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": name, "labels": {"tester": tester}},
                "spec": {"nodeName": scene.namespace, "containers": [{"name": "a", "image": "a"}]},
            }),
        );
    }
    scene
}

/// A scene whose API server is asked by way of a proxy, which sees every request.
struct Planned {
    scene: Scene,
    proxy: Proxy,
}

impl Planned {
    fn new() -> Self {
        let scene = shop();
        let proxy = Proxy::start(scene.cluster.kubeconfig());
        Self { scene, proxy }
    }

    fn etm(&self, object: &Value, words: &[&str]) -> Output {
        let folder = self.scene.state.path();
        let file = folder.join("object.yaml");
        fs::write(&file, object.to_string()).expect("a file");
        Command::new(env!("CARGO_BIN_EXE_etm"))
            .args(["plan", "--kubernetes", "--node", &self.scene.namespace, "-f"])
            .arg(&file)
            .arg("--kubeconfig")
            .arg(self.proxy.kubeconfig(folder))
            .args(words)
            .output()
            .expect("etm runs")
    }

    fn report(&self, object: &Value, words: &[&str]) -> Value {
        let output = self.etm(object, &[&["-o", "json"], words].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    fn named(&self, mut object: Value) -> Value {
        object["metadata"]["namespace"] = json!(self.scene.namespace);
        object
    }

    fn port(&self, service: &str) -> String {
        format!("{}/{service}:http/TCP", self.scene.namespace)
    }

    /// Shares as a report has them: of these Services, in percent and endpoints.
    fn shares(&self, shares: &[(&str, f64, u32)]) -> Value {
        let namespace = &self.scene.namespace;
        let shares = shares.iter().map(|(service, percent, members)| {
            json!({"to": format!("{namespace}/{service}"), "percent": percent, "members": members})
        });
        shares.collect::<Vec<_>>().into()
    }

    /// Names of Pods without their namespace, in a class.
    fn callers(&self, class: &Value) -> Vec<String> {
        let prefix = format!("{}/", self.scene.namespace);
        let names = class["callers"].as_array().expect("callers").iter();
        let names = names.map(|name| name.as_str().expect("a name"));
        names.map(|name| name.strip_prefix(&prefix).unwrap_or(name).to_owned()).collect()
    }

    #[track_caller]
    fn nothing_was_written(&self) {
        let seen = self.proxy.seen();
        let writes: Vec<_> = seen.iter().filter(|seen| seen.method != "GET").collect();
        assert!(writes.is_empty(), "{writes:?}");
        assert!(seen.iter().any(|seen| seen.user_agent.starts_with("etm-plan/")), "{seen:?}");
        drop(seen);
        for kind in ["trafficroutes", "releases"] {
            let path = self.scene.path(kind, "");
            let list = self.scene.cluster.api().get(&path).expect("an answer").expect("a list");
            assert_eq!(list["items"], json!([]), "{kind}");
        }
    }
}

/// The one port that a report is about, and its classes.
#[track_caller]
fn only<'a>(report: &'a Value, service: &str) -> &'a [Value] {
    let [port] = report["services"].as_array().expect("services").as_slice() else {
        panic!("{report:#}")
    };
    assert_eq!((&port["service"], &port["families"]), (&json!(service), &json!(["IPv4"])));
    port["classes"].as_array().expect("classes")
}

#[test]
fn a_route_is_planned_on_what_the_api_server_has() {
    let planned = Planned::new();
    let rules = json!([
        {"from": [{"podSelector": {"matchLabels": {"tester": "yes"}}}],
         "to": [{"service": {"name": "web-2"}}]},
        {"to": [{"service": {"name": "web-1"}, "weight": 95},
                {"service": {"name": "web-2"}, "weight": 5}]},
    ]);
    let object = planned.named(route("canary", "web", &rules));
    let report = planned.report(&object, &[]);
    assert_eq!((&report["objects"], &report["problems"]), (&json!(1), &json!([])), "{report:#}");
    assert_eq!(report["node"], planned.scene.namespace);
    let [others, tester] = only(&report, &planned.port("web")) else { panic!("{report:#}") };
    assert_eq!(planned.callers(tester), ["tester"]);
    assert_eq!(planned.callers(others), [""; 0]);
    for class in [others, tester] {
        assert_eq!(class["now"]["shares"], planned.shares(&[("web", 100.0, 3)]));
        assert_eq!(class["now"]["rule"], Value::Null);
    }
    let divided = planned.shares(&[("web-1", 95.0, 3), ("web-2", 5.0, 1)]);
    assert_eq!(others["then"]["shares"], divided);
    assert_eq!(tester["then"]["shares"], planned.shares(&[("web-2", 100.0, 1)]));
    let rule = format!("TrafficRoute {}/canary spec.rules[0]", planned.scene.namespace);
    assert_eq!(tester["then"]["rule"], rule);
    planned.nothing_was_written();

    // Once it is applied, the same changes nothing; another weight changes those that have it.
    planned.scene.create("trafficroutes", object.clone());
    assert_eq!(planned.report(&object, &[])["services"], json!([]));
    let mut other = object;
    other["spec"]["rules"][1]["to"][1]["weight"] = json!(95);
    let report = planned.report(&other, &[]);
    let [others, tester] = only(&report, &planned.port("web")) else { panic!("{report:#}") };
    assert_eq!(others["now"]["shares"], divided);
    let halves = planned.shares(&[("web-1", 50.0, 3), ("web-2", 50.0, 1)]);
    assert_eq!((&others["then"]["shares"], &tester["changes"]), (&halves, &json!(false)));
}

#[test]
fn a_release_is_planned_at_each_of_its_steps() {
    let planned = Planned::new();
    let strategy = json!({"canary": {"steps": [
        {"callers": [{"podSelector": {"matchLabels": {"tester": "yes"}}}], "pause": {}},
        {"percent": 30},
        {"percent": 60},
    ]}});
    let object = planned.named(release("two", &strategy));
    let (old, new) =
        (planned.shares(&[("web-1", 100.0, 3)]), planned.shares(&[("web-2", 100.0, 1)]));
    // Who reaches the new version at a step; whoever is in no class is an unknown caller.
    let mut reached = Vec::new();
    for step in ["0", "1", "2", "3"] {
        let report = planned.report(&object, &["--step", step]);
        assert_eq!(report["problems"], json!([]), "{report:#}");
        let classes = only(&report, &planned.port("web"));
        let all = if step == "3" { &new } else { &old };
        assert_eq!(classes[0]["then"]["shares"], *all, "{report:#}");
        let of_new = classes.iter().filter(|class| class["then"]["shares"] == new);
        reached.push(of_new.flat_map(|class| planned.callers(class)).collect::<Vec<_>>());
    }
    assert_eq!(planned.report(&object, &[]), planned.report(&object, &["--step", "0"]));
    let [chosen, some, more, all] = reached.try_into().expect("four steps");
    assert_eq!(chosen, ["tester"]);
    let grows = |few: &[String], many: &[String]| few.iter().all(|name| many.contains(name));
    assert!(grows(&chosen, &some) && grows(&some, &more), "{some:?} {more:?}");
    assert!(some.len() > 1 && more.len() > some.len() && more.len() <= CALLERS, "{more:?}");
    assert_eq!(all, [""; 0], "everyone, so nobody is named");
    planned.nothing_was_written();

    let output = planned.etm(&object, &["--step", "4"]);
    let error = String::from_utf8_lossy(&output.stderr);
    let told = format!(
        "error: Release {}/two: spec.strategy: has 4 steps, counted from 0: there is none 4",
        planned.scene.namespace
    );
    assert!(!output.status.success() && error.starts_with(&told), "{error}");

    // One that has begun goes on by its own status, whatever a file says.
    planned.scene.create("releases", object.clone());
    let status = json!({"status": {
        "phase": "Progressing", "traffic": "Step", "step": 1, "spec": object["spec"],
    }});
    let namespace = &planned.scene.namespace;
    let patch = ["patch", "release", "two", "--namespace", namespace, "--subresource", "status"];
    let how = ["--type", "merge", "--patch", &status.to_string()];
    planned.scene.cluster.kubectl(&[&patch[..], &how].concat()).expect("a status");
    let report = planned.report(&object, &[]);
    assert_eq!(report["services"], json!([]), "{report:#}");
    assert_eq!(report["problems"][0]["reason"], "has begun and is not taken in", "{report:#}");
    planned.scene.delete("releases", "two");

    // What is wrong with it is told before anybody has it.
    let mut bad = object.clone();
    bad["spec"]["services"][0]["new"] = json!({"service": "web-9"});
    let report = planned.report(&bad, &["--step", "3"]);
    let problems = report["problems"].as_array().expect("problems");
    assert!(
        problems.iter().any(|problem| problem["field"] == "spec.services[0].new"),
        "{report:#}"
    );
}

#[test]
fn what_is_of_a_cluster_to_decide_is_left_out_and_told() {
    let planned = Planned::new();
    let pod = planned.named(json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "new", "uid": "new"},
        "status": {"podIPs": [{"ip": "10.244.9.9"}]},
    }));
    let report = planned.report(&pod, &[]);
    assert_eq!(report["services"], json!([]));
    let problem = &report["problems"][0];
    assert_eq!(problem["object"], format!("Pod {}/new", planned.scene.namespace));
    assert_eq!(problem["reason"], "is not taken in");
    // A share of a Service that is new is refused until it has endpoints, which is told.
    let rules = json!([{"to": [{"service": {"name": "web-9"}}]}]);
    let object = planned.named(route("canary", "web", &rules));
    let report = planned.report(&object, &[]);
    assert_eq!(report["services"], json!([]), "it would not count");
    assert_eq!(report["problems"][0]["field"], "spec.rules[0].to[0]", "{report:#}");
    planned.nothing_was_written();
}
