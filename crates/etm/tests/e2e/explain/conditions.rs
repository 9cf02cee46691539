//! What is told of clients that stay, of refusals, and of calls that pass, word by word.

use std::net::SocketAddr;

use etm_testkit::wait::until;
use etm_testkit::{Protocol, objects};
use serde_json::{Value, json};

use super::stage::Stage;
use crate::scene::{PORT, Scene, VIP4, web};

/// An age in seconds is what the machine makes of it.
fn without_age(line: &str) -> String {
    let words = line.split(' ').map(|word| if word.parse::<u64>().is_ok() { "N" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_client_that_stays_in_words() {
    let service = web()
        .set("spec.sessionAffinity", "ClientIP")
        .set("spec.sessionAffinityConfig", json!({"clientIP": {"timeoutSeconds": 3600}}));
    let mut stage = Stage::new(4, 1, &[]);
    stage.scene.manifests.apply("web.yaml", &[service]).expect("a manifest");
    until("its clients stay", || {
        let rows = stage.scene.get("services");
        rows.iter().all(|row| row["balancing"]["affinitySeconds"] == 3600)
    });
    let words = ["--from", "caller-1", "--to", "web:http"];
    let before = stage.json(&words);
    assert_eq!(before["affinity"], json!({"seconds": 3600, "client": "10.250.0.1", "entry": null}));
    assert_eq!(before["result"], "oneOf");

    let caller = stage.clients[0].caller(&stage.from, Protocol::Tcp);
    let call = caller.call(SocketAddr::new(VIP4, PORT)).expect("a call");
    let name = call.pod().expect("a Pod").to_owned();
    let pod = stage.pods.iter().position(|backend| backend.pod.name() == name).expect("a Pod");
    let shown = format!("default/{name} at {}", stage.at(pod)[0]);
    let cgroup = stage.clients[0].cgroup_id(&stage.scene);
    let mut lines = stage.lines(&words);
    lines[6] = without_age(&lines[6]);
    let expected = [
        format!("result      {shown}"),
        "why         its client was given it and stays for 3600 s".to_owned(),
        format!("caller      default/caller-1 at 10.250.0.1, cgroup {cgroup}"),
        format!("called      default/web:http/TCP at {VIP4}:80"),
        "callers     everyone".to_owned(),
        "balancing   random + affinity 3600s".to_owned(),
        format!("affinity    client 10.250.0.1 was sent to {shown}, N s ago"),
    ];
    assert_eq!(lines, expected);

    stage.take_out(&[&name]);
    let after = stage.json(&words);
    assert_eq!(after["affinity"]["entry"]["verdict"], "out", "{after}");
    assert_eq!(after["result"], "oneOf", "{after}");
    let lines = stage.lines(&words);
    assert!(lines[6].ends_with("s ago, but it is out"), "{lines:?}");
}

#[test]
fn refusals_and_calls_that_pass_in_words() {
    let balanced = "203.0.113.1";
    let empty = objects::Service::new("empty", &["10.96.0.20".parse().expect("an address")])
        .port("", "TCP", 443, 443);
    let guarded = web()
        .set("spec.type", "LoadBalancer")
        .set("spec.loadBalancerSourceRanges", vec!["10.250.0.1/32"])
        .set("status.loadBalancer.ingress", json!([{"ip": balanced}]));
    let stage = Stage::new(1, 2, &[empty.into()]);
    stage.scene.manifests.apply("web.yaml", &[guarded]).expect("a manifest");
    until("it has ranges", || stage.scene.get("services").len() == 7);
    let node = stage.scene.node.ipv4();
    assert_eq!(
        stage.lines(&["--from", "node", "--to", "empty"]),
        [
            "result      refused",
            "why         Connection refused (os error 111): it has no members",
            &format!("caller      node node-a at {node}"),
            "called      default/empty/TCP at 10.96.0.20:443",
            "callers     everyone",
            "balancing   random",
        ]
    );
    let at = format!("{balanced}:80");
    let admitted = stage.json(&["--from", "caller-1", "--to", &at]);
    assert_eq!(
        (&admitted["result"], &admitted["called"]["callers"]),
        (&json!("pod"), &json!("10.250.0.1/32"))
    );
    assert_eq!(admitted["reason"], "it is the only available member");
    let excluded = stage.json(&["--from", "caller-2", "--to", &at]);
    assert_eq!((&excluded["result"], &excluded["errno"]), (&json!("refused"), &json!(111)));
    assert_eq!(
        excluded["reason"],
        "Connection refused (os error 111): 10.250.0.2 is in no range of its callers"
    );
    let unknown = stage.json(&["--from", "unknown", "--to", &at]);
    assert_eq!(unknown["result"], "refused");
    // By its name the Service is at the address that is for everyone.
    let named = stage.json(&["--from", "caller-2", "--to", "web:80"]);
    assert_eq!(named["called"]["address"], format!("{VIP4}:80"));

    let words = ["--from", "node", "--to", &format!("{VIP4}:81")];
    assert_eq!(
        stage.lines(&words),
        [
            "result      left alone",
            &format!(
                "why         {VIP4}:81/TCP is not a Service's, so it is left alone; Services have 80/TCP, \
             80/UDP of {VIP4}"
            ),
            &format!("caller      node node-a at {node}"),
            &format!("called      {VIP4}:81/TCP"),
        ]
    );
    let expected = json!({
        "result": "passes",
        "reason": "198.51.100.1:53/UDP is not a Service's, so it is left alone",
        "destination": null, "errno": null,
        "caller": {"kind": "unknown", "name": "", "address": null, "cgroupId": null},
        "called": {
            "address": "198.51.100.1:53", "protocol": "UDP", "service": null, "callers": null,
        },
        "route": null, "balancing": null, "affinity": null, "hash": null, "members": [], "notes": [],
    });
    assert_eq!(stage.json(&["--from", "unknown", "--to", "198.51.100.1:53/UDP"]), expected);
}

#[test]
fn a_port_that_no_service_has_is_refused_where_that_is_asked_for() {
    let scene = Scene::new();
    let _pods = scene.web(&["web-0"]);
    let agent = scene.agent().arg("--unknown-port").arg("refuse").start().expect("an agent");
    let output =
        scene.etm(&["explain", "--from", "node", "--to", &format!("{VIP4}:81"), "-o", "json"]);
    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&told["result"], &told["errno"]), (&json!("refused"), &json!(111)));
    drop(agent);
}
