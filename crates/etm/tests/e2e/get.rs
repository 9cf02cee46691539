//! `etm get` shows the kernel's maps, whether or not an agent runs.

use serde_json::{Value, json};

use crate::scene::{POD_PORT, PORT, Scene, VIP4, VIP6};

fn service(port: &str, protocol: &str) -> String {
    format!("default/web:{port}/{protocol}")
}

fn services() -> Vec<Value> {
    let row = |port: &str, protocol: &str, address: String| {
        json!({
            "service": service(port, protocol), "address": address,
            "backends": 1, "routed": false, "callers": "everyone", "errno": 111,
            "balancing": {
                "algorithm": "Random", "fields": [], "weighted": false, "affinitySeconds": null,
            },
        })
    };
    vec![
        row("echo", "UDP", format!("{VIP4}:{PORT}")),
        row("echo", "UDP", format!("[{VIP6}]:{PORT}")),
        row("http", "TCP", format!("{VIP4}:{PORT}")),
        row("http", "TCP", format!("[{VIP6}]:{PORT}")),
    ]
}

#[test]
fn every_form_tells_the_same_without_an_agent() {
    let scene = Scene::new();
    let pods = scene.web(&["web-0"]);
    scene.start().stop().expect("an end");
    let [v4, v6] = pods[0].pod.at(POD_PORT);
    let backends: Vec<Value> = [("echo", "UDP"), ("http", "TCP")]
        .into_iter()
        .flat_map(|(port, protocol)| {
            [v4, v6].map(|address| {
                json!({
                    "service": service(port, protocol), "address": address.to_string(),
                    "pod": "default/web-0", "state": "available", "weight": null,
                    "reason": null, "sinceSeconds": null, "returnsInSeconds": null,
                    "connections": null,
                })
            })
        })
        .collect();
    for (what, expected) in [("services", services()), ("backends", backends)] {
        let mut rows = scene.get(what);
        rows.sort_by_key(|row| (row["service"].to_string(), row["address"].to_string()));
        let mut sorted = expected.clone();
        sorted.sort_by_key(|row| (row["service"].to_string(), row["address"].to_string()));
        assert_eq!(rows, sorted);

        let yaml = scene.etm(&["get", what, "-o", "yaml"]);
        assert!(yaml.status.success(), "{yaml:?}");
        let text = String::from_utf8(yaml.stdout).expect("text");
        let parsed: Vec<Value> = serde_saphyr::from_str(&text).expect("YAML");
        assert_eq!(parsed, scene.get(what));

        let table = scene.etm(&["get", what]);
        let text = String::from_utf8(table.stdout).expect("text");
        let lines: Vec<Vec<&str>> =
            text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines.len(), 1 + expected.len(), "{text}");
        assert_eq!(lines[0][..2], ["SERVICE", "ADDRESS"]);
        for row in &expected {
            let cells = [&row["service"], &row["address"]].map(|cell| cell.as_str().expect("text"));
            assert!(lines.iter().any(|line| line[..2] == cells), "{cells:?} is not in\n{text}");
        }
    }
}

#[test]
fn a_prefix_chooses_services() {
    let scene = Scene::new();
    let _pods = scene.web(&["web-0"]);
    let other = etm_testkit::objects::Service::new("web2", &["10.96.0.3".parse().expect("an IP")])
        .port("http", "TCP", 80, 80)
        .namespace("shop");
    scene.manifests.apply("other.yaml", &[other]).expect("a manifest");
    let _agent = scene.start();
    let chosen = |prefix: &str| {
        let output = scene.etm(&["get", "services", prefix, "-o", "json"]);
        serde_json::from_slice::<Vec<Value>>(&output.stdout).expect("JSON").len()
    };
    assert_eq!([chosen("shop/"), chosen("default/web:"), chosen("nobody")], [1, 4, 0]);
}

#[test]
fn a_name_keeps_the_counters_that_begin_with_it() {
    let scene = Scene::new();
    scene.start().stop().expect("an end");
    let output = scene.etm(&["get", "counters", "connect-", "-o", "json"]);
    let rows: Vec<Value> = serde_json::from_slice(&output.stdout).expect("rows of JSON");
    let names: Vec<_> = rows.iter().filter_map(|row| row["counter"].as_str()).collect();
    let expected = [
        "connect-forwarded",
        "connect-no-endpoints",
        "connect-all-ejected",
        "connect-local-policy",
        "connect-unknown-port",
        "connect-source",
        "connect-denied",
    ];
    assert_eq!(names, expected);
}
