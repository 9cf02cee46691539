//! What people are told of a Pod that is out.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use etm_abi::BACKEND_EJECTED;
use etm_testkit::page;
use etm_testkit::wait::until;
use serde_json::{Value, json};

use super::{LIMIT, callers, record, refused, set_policy};
use crate::scene::{Backend, POD_PORT, PORT, Scene, VIP4};

/// Where the agent serves its metrics, in the node's network.
const ADMIN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9440);

/// The only row of `etm get ejections`; none while there is no row.
fn ejection(scene: &Scene) -> Option<Value> {
    let mut rows = scene.get("ejections");
    assert!(rows.len() <= 1, "{rows:?}");
    rows.pop()
}

/// The state of a Pod as `etm get backends` has it, over TCP and IPv4.
fn state(scene: &Scene, address: SocketAddr) -> String {
    let rows = scene.get("backends");
    let mut rows = rows.iter().filter(|row| row["service"] == "default/web:http/TCP");
    let row = rows.find(|row| row["address"] == address.to_string()).expect("a row");
    row["state"].as_str().expect("a word").to_owned()
}

#[track_caller]
fn measured(scene: &Scene, metric: &str) -> u64 {
    let text = page(&scene.node.place(), ADMIN, "/metrics").expect("metrics").text;
    let value = text.lines().find_map(|line| line.strip_prefix(metric)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("no {metric} in {text}")).parse().expect("a number")
}

#[test]
fn one_that_is_out_is_told_with_its_reason_until_it_is_back() {
    let scene = Scene::new();
    let mut backends = scene.web(&["a", "b"]);
    set_policy(
        &scene,
        &json!({"health": {
            "ejectionTime": "3s",
            "probation": {"interval": "100ms", "successes": 2},
        }}),
    );
    let _agent = scene.agent().arg("--admin").arg(ADMIN.to_string()).start().expect("an agent");
    assert_eq!(ejection(&scene), None);
    let pod = backends.pop().map(Backend::refuse).expect("a Pod");
    let [address, _] = pod.at(POD_PORT);
    let (callers, target) = (callers(&scene), (VIP4, PORT).into());
    let mut failed = 0;
    until("it is out", || {
        failed += refused(&scene, &callers, target, 2);
        record(&scene, &pod).state == BACKEND_EJECTED
    });
    assert!(failed >= LIMIT, "{failed}");

    until("the reason is told", || ejection(&scene).is_some_and(|row| row["reason"].is_string()));
    let row = ejection(&scene).expect("a row");
    assert_eq!(row["services"], json!(["default/web:http/TCP"]), "{row}");
    assert_eq!(row["address"], address.to_string(), "{row}");
    assert_eq!(row["pod"], "default/b", "{row}");
    assert!(["ejected", "probation"].contains(&row["state"].as_str().expect("a word")), "{row}");
    assert!(row["times"].as_u64() >= Some(1), "{row}");
    assert!(row["failuresInRow"].as_u64() >= Some(LIMIT as u64), "{row}");
    assert_eq!(row["connections"]["refused"], json!(failed), "{row}");
    let reason = row["reason"].as_str().expect("a text");
    assert!(reason.contains("connections in a row failed, from 2 callers"), "{row}");
    assert!(row["sinceSeconds"].is_u64(), "{row}");
    let filtered = scene.etm(&["get", "ejections", "other/", "-o", "json"]);
    assert_eq!(String::from_utf8_lossy(&filtered.stdout).trim(), "[]");

    // Its time is over and nobody calls: the next connection is to tell.
    until("it is on probation", || state(&scene, address) == "probation");
    let row = ejection(&scene).expect("a row");
    assert_eq!((&row["state"], &row["returnsInSeconds"]), (&json!("probation"), &Value::Null));
    until("it fails, and is out again", || {
        refused(&scene, &callers, target, 1);
        ejection(&scene).is_some_and(|row| row["times"] == 2)
    });
    assert_eq!(state(&scene, address), "ejected");
    let rows = scene.get("backends");
    // The same address is one of another protocol as well.
    let mut rows = rows.iter().filter(|row| row["service"] == "default/web:http/TCP");
    let out = rows.find(|row| row["address"] == address.to_string()).expect("a row");
    assert!(out["reason"].is_string() && out["sinceSeconds"].is_u64(), "{out}");
    assert!(out["returnsInSeconds"].is_u64(), "{out}");
    let row = ejection(&scene).expect("a row");
    assert!((1..=6).contains(&row["returnsInSeconds"].as_u64().expect("a number")), "{row}");
    until("it is counted", || measured(&scene, "etm_backends{state=\"ejected\"}") == 1);
    assert_eq!(measured(&scene, "etm_ejections_total{what=\"ejected\"}"), 1);
    assert_eq!(measured(&scene, "etm_ejections_total{what=\"again\"}"), 1);

    let _server = pod.serve(&[POD_PORT], &[]).expect("a server");
    until("it is back, and nothing is told of it", || {
        refused(&scene, &callers, target, 1);
        ejection(&scene).is_none()
    });
    assert_eq!(state(&scene, address), "available");
    assert_eq!(measured(&scene, "etm_ejections_total{what=\"returned\"}"), 1);
}

#[test]
fn one_that_is_spared_says_so_and_a_restart_keeps_no_old_reason() {
    let scene = Scene::new();
    let mut backends = scene.web(&["a"]);
    let agent = scene.start();
    let pod = backends.pop().map(Backend::refuse).expect("a Pod");
    let callers = callers(&scene);
    assert_eq!(refused(&scene, &callers, (VIP4, PORT).into(), 30), 30);
    // By the row that the kernel tells of, or by the share that the agent sees a moment later.
    let is_told = |reason: &str| {
        let (why, spared) = reason.split_once("; ").unwrap_or_default();
        let in_row = format!("{LIMIT} connections in a row failed, from 2 callers");
        let all_failed = |(failed, of): (&str, &str)| of == format!("{failed} connections failed");
        let is_why = why == in_row || why.split_once(" of ").is_some_and(all_failed);
        is_why && spared.starts_with("spared: 0 of 1 may be out")
    };
    until("it is told", || ejection(&scene).is_some());
    let row = ejection(&scene).expect("a row");
    assert_eq!(row["state"], "available", "{row}");
    assert!(row["reason"].as_str().is_some_and(is_told), "{row}");

    // The maps alone tell it, also while no agent runs; the Pod is gone when the next one comes.
    agent.stop().expect("an end");
    let row = ejection(&scene).expect("a row");
    assert!(row["reason"].as_str().is_some_and(is_told), "{row}");
    scene.withdraw(pod.name());
    let other = scene.backend("other");
    scene.declare(&other.pod, true);
    let _agent = scene.start();
    until("nothing is told", || ejection(&scene).is_none());
}
