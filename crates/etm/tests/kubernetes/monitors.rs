//! Monitors of policies: real Prometheus and Alertmanager, and what the controller makes of them.

use std::time::Duration;

use etm_testkit::{Alertmanager, Exporter, Prometheus, Rule};
use serde_json::{Value, json};

use crate::conditions::{condition, stored, version, writes};
use crate::scene::{POD_PORT, Scene, free};
use crate::{errors, metrics};
use etm_testkit::wait::{until, until_logged, until_some};

const PODS: [&str; 3] = ["web-1", "web-2", "web-3"];

/// Service web, whose policy goes with its test: controllers look at all namespaces.
struct Web<'a>(&'a Scene);

impl Drop for Web<'_> {
    fn drop(&mut self) {
        let _ = self.0.cluster.api().delete(&self.0.path("trafficpolicies", "web"));
    }
}

/// Service web with three Pods.
fn web(scene: &Scene) -> Web<'_> {
    scene.service("web");
    let endpoints: Vec<Value> = (1..)
        .zip(PODS)
        .map(|(last, pod)| {
            let target = json!({"kind": "Pod", "name": pod, "uid": format!("{pod}-uid")});
            json!({"addresses": [format!("10.244.7.{last}")], "targetRef": target})
        })
        .collect();
    scene.create(
        "endpointslices",
        json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": POD_PORT}],
            "endpoints": endpoints,
        }),
    );
    Web(scene)
}

fn policy(monitor: &Value) -> Value {
    json!({
        "apiVersion": "etm.dev/v1alpha1",
        "kind": "TrafficPolicy",
        "metadata": {"name": "web"},
        "spec": {"targetRef": {"name": "web"}, "monitors": [monitor]},
    })
}

/// Replaces the policy's monitors.
fn change(scene: &Scene, monitors: &Value) {
    let path = scene.path("trafficpolicies", "web");
    let monitors = json!({"spec": {"monitors": monitors}});
    scene.cluster.api().merge(&path, &monitors).expect("a policy");
}

/// A monitor that is asked every second, and ejects at once.
fn monitor(query: &str, hold: &str) -> Value {
    json!({"name": "errors", "prometheus": {
        "query": query,
        "operator": "GreaterThan",
        "threshold": "0.5",
        "interval": "1s",
        "timeout": "500ms",
        "consecutive": 2,
        "recovery": 2,
        "holdTime": hold,
    }})
}

fn alert_monitor() -> Value {
    json!({"name": "alerts", "alertmanager": {
        "matchers": [{"name": "alertname", "value": "PodBroken"}],
        "repeatInterval": "5s",
    }})
}

/// No Pod has errors.
fn exporter(scene: &Scene) -> Exporter {
    let exporter = errors::exporter(scene);
    for pod in PODS {
        exporter.set(pod, 0.0);
    }
    exporter
}

/// The Pods that are out by the policy's status.
fn ejected(scene: &Scene) -> Vec<Value> {
    stored(scene, "web")["status"]["ejected"].as_array().cloned().unwrap_or_default()
}

#[track_caller]
fn until_ejected(scene: &Scene, pods: &[&str]) {
    until(&format!("{pods:?} are out"), || {
        let ejected = ejected(scene);
        ejected.iter().map(|pod| pod["pod"].as_str().unwrap_or_default()).eq(pods.iter().copied())
    });
}

/// Waits until the monitors are told to be so, and gives the condition.
#[track_caller]
fn until_monitor(scene: &Scene, reason: &str) -> Value {
    until_some(&format!("the monitor is {reason}"), || {
        condition(scene, "web", "MonitorReachable").filter(|found| found["reason"] == reason)
    })
}

#[test]
fn a_pod_whose_metric_is_bad_is_ejected_and_returns() {
    let scene = Scene::controlled();
    let _web = web(&scene);
    let exporter = exporter(&scene);
    // Of the Service's own Pods alone, whoever else is bad.
    exporter.set("stranger", 1.0);
    let prometheus = Prometheus::start(&[&exporter], None, &[]).expect("Prometheus");
    scene.create("trafficpolicies", policy(&monitor(&errors::query(&scene), "5m")));
    let controller = errors::controller(&scene, &prometheus);
    let well = until_monitor(&scene, "Answering");
    assert_eq!((&well["status"], ejected(&scene)), (&json!("True"), vec![]));

    exporter.set("web-2", 0.75);
    until_ejected(&scene, &["web-2"]);
    let out = ejected(&scene).remove(0);
    assert_eq!((&out["monitor"], &out["uid"]), (&json!("errors"), &json!("web-2-uid")));
    assert_eq!(out["message"], "0.75 > 0.5, 2 times in a row");
    assert_eq!(metrics::value(&scene, r#"etm_ejected{kind="pods"}"#), Some(1.0));
    // As long as nothing changes nothing is written, whatever the value.
    let written = (version(&scene, "web"), writes(scene.admin));
    exporter.set("web-2", 0.9);
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!((version(&scene, "web"), writes(scene.admin)), written);

    exporter.set("web-1", 1.0);
    until_ejected(&scene, &["web-1", "web-2"]);
    assert_eq!(ejected(&scene)[1], out, "its time and words stay");
    exporter.set("web-1", 0.1);
    // One without a series is well after its recovery.
    exporter.remove("web-2");
    until_ejected(&scene, &[]);
    assert_eq!(metrics::own_problems(&scene), [Value::Null; 0], "{}", controller.stderr());

    // By its address as well.
    let query = format!(
        r#"label_replace(label_replace({}, "instance", "10.244.7.3:8080", "", ""), "pod", "", "", "")"#,
        errors::query(&scene).replace("}", r#",pod="web-3"}"#)
    );
    exporter.set("web-3", 1.0);
    change(&scene, &json!([monitor(&query, "5m")]));
    until_ejected(&scene, &["web-3"]);
    change(&scene, &json!([]));
    until_ejected(&scene, &[]);
    until("the condition goes with the monitor", || {
        condition(&scene, "web", "MonitorReachable").is_none()
    });
}

#[test]
fn who_is_out_stays_so_through_a_change_of_leaders_and_while_prometheus_is_down() {
    let scene = Scene::controlled();
    let _web = web(&scene);
    let exporter = exporter(&scene);
    exporter.set("web-2", 1.0);
    let mut prometheus = Prometheus::start(&[&exporter], None, &[]).expect("Prometheus");
    scene.create("trafficpolicies", policy(&monitor(&errors::query(&scene), "1h")));
    let first = errors::controller(&scene, &prometheus);
    until_ejected(&scene, &["web-2"]);
    let out = ejected(&scene);
    prometheus.stop().expect("an end");
    let down = until_monitor(&scene, "Unreachable");
    assert_eq!(down["status"], "False");
    assert!(down["message"].as_str().is_some_and(|text| text.starts_with("errors: ")), "{down}");
    until_logged(&first, &["spec.monitors[errors]"]);
    let warned = first.stderr().matches("spec.monitors[errors]").count();
    assert_eq!(warned, 1, "once: {}", first.stderr());

    first.kill().expect("an end");
    let second = errors::controller(&scene, &prometheus);
    until("the second leads", || metrics::value(&scene, "etm_leader") == Some(1.0));
    until_logged(&second, &["spec.monitors[errors]"]);
    assert_eq!(ejected(&scene), out, "nothing of it changed");
    exporter.set("web-2", 0.0);
    prometheus.start_again().expect("Prometheus");
    until_ejected(&scene, &[]);
    until_monitor(&scene, "Answering");
    until_logged(&second, &["mended", "TrafficPolicy"]);
}

#[test]
fn one_that_hangs_or_makes_no_sense_ejects_nobody_and_keeps_nobody_out() {
    let scene = Scene::controlled();
    let _web = web(&scene);
    let exporter = exporter(&scene);
    exporter.set("web-2", 1.0);
    let prometheus = Prometheus::start(&[&exporter], None, &[]).expect("Prometheus");
    let errors = errors::query(&scene);
    scene.create("trafficpolicies", policy(&monitor(&errors, "3s")));
    let _controller = errors::controller(&scene, &prometheus);
    until_ejected(&scene, &["web-2"]);
    prometheus.pause().expect("a pause");
    let hangs = until_monitor(&scene, "Unreachable");
    assert!(hangs["message"].as_str().is_some_and(|text| text.contains("500ms")), "{hangs}");
    until_ejected(&scene, &[]);
    prometheus.resume().expect("it goes on");
    until_ejected(&scene, &["web-2"]);
    for (query, told) in [
        ("scalar(vector(1))".to_owned(), "a scalar, not a vector"),
        (format!("{errors}[1m]"), "a matrix, not a vector"),
        (format!("{errors} * NaN"), "no value is a number"),
        (format!("{errors} / 0 > 1"), "no value is a number"),
        ("sum(errors)".to_owned(), "no label that names pod"),
        ("sum(".to_owned(), "refuses the query"),
    ] {
        change(&scene, &json!([monitor(&query, "3s")]));
        let condition = until_some(told, || {
            condition(&scene, "web", "MonitorReachable")
                .filter(|found| found["message"].as_str().is_some_and(|text| text.contains(told)))
        });
        assert_eq!(condition["reason"], "Unusable", "{query}");
        assert_eq!(condition["status"], "False", "{query}");
    }
    until_ejected(&scene, &[]);
    change(&scene, &json!([monitor(&errors, "3s")]));
    until_ejected(&scene, &["web-2"]);
}

#[test]
fn an_alert_ejects_and_its_end_returns() {
    let scene = Scene::controlled();
    let _web = web(&scene);
    let exporter = exporter(&scene);
    let alerts = free();
    let token = scene.state.path().join("token");
    std::fs::write(&token, "sesame\n").expect("a file");
    let url = format!("http://{alerts}/alerts");
    let mut manager = Alertmanager::start(&url, "sesame").expect("Alertmanager");
    let expression = format!("{} > 0.5", errors::query(&scene));
    let rules = [
        Rule { name: "PodBroken", expression: &expression },
        Rule { name: "Other", expression: "errors >= 0" },
    ];
    let mut prometheus =
        Prometheus::start(&[&exporter], Some(&manager), &rules).expect("Prometheus");
    scene.create("trafficpolicies", policy(&alert_monitor()));
    let controller = || {
        let controller = scene.controller(scene.admin).arg("--alerts").arg(alerts.to_string());
        let controller = controller.arg("--alerts-token-file").arg(&token);
        controller.start().expect("a controller")
    };
    let first = controller();
    until_monitor(&scene, "Answering");
    exporter.set("web-2", 1.0);
    until_ejected(&scene, &["web-2"]);
    assert_eq!(ejected(&scene)[0]["message"], "PodBroken is firing");
    exporter.set("web-2", 0.0);
    until_ejected(&scene, &[]);

    // Whoever has another token is not heard.
    let text = json!({"version": "4", "alerts": []}).to_string();
    let refused = metrics::post_at(alerts, "/alerts", "Bearer simsim", &text);
    assert!(refused.starts_with("HTTP/1.1 401"), "{refused}");
    let foreign = metrics::post_at(alerts, "/alerts", "Bearer sesame", "{}");
    assert!(foreign.starts_with("HTTP/1.1 400"), "{foreign}");

    exporter.set("web-3", 1.0);
    until_ejected(&scene, &["web-3"]);
    let out = ejected(&scene);
    first.kill().expect("an end");
    let _second = controller();
    until("the second leads", || metrics::value(&scene, "etm_leader") == Some(1.0));
    // Longer than a silence would be allowed to last.
    std::thread::sleep(Duration::from_secs(12));
    assert_eq!(ejected(&scene), out);
    // An end that nobody tells.
    manager.stop().expect("an end");
    prometheus.stop().expect("an end");
    until_ejected(&scene, &[]);
    let lost = until_monitor(&scene, "NotRepeated");
    assert_eq!(lost["status"], "False");
}

#[test]
fn monitors_that_nobody_can_ask_are_told_of() {
    let scene = Scene::controlled();
    let _web = web(&scene);
    scene.create("trafficpolicies", policy(&monitor("up", "5m")));
    let _controller = scene.controller(scene.admin).start().expect("a controller");
    let told = until_monitor(&scene, "NotConfigured");
    assert!(told["message"].as_str().is_some_and(|text| text.contains("--prometheus")), "{told}");
    change(&scene, &json!([alert_monitor()]));
    until("alerts are not heard either", || {
        let told = until_monitor(&scene, "NotConfigured");
        told["message"].as_str().is_some_and(|text| text.contains("--alerts"))
    });
}
