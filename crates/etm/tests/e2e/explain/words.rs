//! What is told of a hash, of weights and of load, word by word.

use std::net::SocketAddr;

use etm_abi::{Balancing, Candidate, HASH_CALLER_POD, POSITIONS};
use etm_decide::{Call, Offer, position};
use etm_model::hash;
use etm_testkit::{Protocol, objects};
use serde_json::{Value, json};

use super::stage::{Stage, hashed};
use crate::scene::{PORT, Scene, VIP4, VIP6, web, web_pod};

/// The Pods in the order in which a caller's position is offered to them, and the position; from
/// the names alone.
fn order(pods: usize, caller: &str) -> (Vec<usize>, u32) {
    let salt = hash("default/web");
    let header = Balancing { fields: HASH_CALLER_POD, salt, ..Balancing::default() };
    let position = position(&header, &Call { pod: hash(caller), ..Call::default() });
    let offer = |pod: &usize| {
        Offer::of(Candidate::new(hash(&format!("default/web-{pod}")), 1), position, false)
    };
    let mut order: Vec<_> = (0..pods).collect();
    order.sort_by_key(offer);
    (order, position)
}

#[test]
fn a_hash_in_words() {
    let mut stage = Stage::new(3, 1, &[hashed(&["callerPod"])]);
    let (order, position) = order(3, "default/caller-1");
    let cgroup = stage.clients[0].cgroup_id(&stage.scene);
    let [number, salt] =
        ["default/caller-1", "default/web"].map(|name| format!("{:016x}", hash(name)));
    let shown = |pod: usize| format!("default/web-{pod} at {}", stage.at(pod)[0]);
    let (first, second) = (shown(order[0]), shown(order[1]));
    let middle = [
        format!("caller      default/caller-1 at 10.250.0.1, cgroup {cgroup}"),
        format!("called      default/web:http/TCP at {VIP4}:80"),
        "callers     everyone".to_owned(),
        "balancing   hash(callerPod)".to_owned(),
        format!("field       callerPod default/caller-1, as a number {number}"),
        format!("salt        {salt}"),
        format!("position    {position} of {POSITIONS}"),
    ];
    let words = ["--from", "caller-1", "--to", "web:http"];
    let expected = [
        &[
            format!("result      {first}"),
            format!("why         of all members it ranks position {position} best"),
        ][..],
        &middle,
        &[format!("best        {first}, available")],
    ];
    assert_eq!(stage.lines(&words), expected.concat());
    let member = |pod: usize| {
        json!({
            "pod": format!("default/web-{pod}"), "address": stage.at(pod)[0], "state": "available",
            "weight": null, "connections": null, "share": null,
            "rank": order.iter().position(|other| *other == pod).expect("a rank") + 1,
        })
    };
    let mut told = stage.json(&words);
    let members = told["members"].as_array_mut().expect("members");
    members.sort_by_key(|member| member["pod"].to_string());
    let expected = json!({
        "result": "pod",
        "reason": format!("of all members it ranks position {position} best"),
        "destination": {"pod": format!("default/web-{}", order[0]), "address": stage.at(order[0])[0]},
        "errno": null,
        "caller": {
            "kind": "pod", "name": "default/caller-1", "address": "10.250.0.1", "cgroupId": cgroup,
        },
        "called": {
            "address": format!("{VIP4}:80"), "protocol": "TCP", "service": "default/web:http/TCP",
            "callers": "everyone",
        },
        "route": null,
        "balancing": {
            "algorithm": "ConsistentHash", "fields": ["callerPod"], "weighted": false,
            "affinitySeconds": null,
        },
        "affinity": null,
        "hash": {
            "fields": [{"field": "callerPod", "value": "default/caller-1", "number": number}],
            "salt": salt, "position": position, "positions": POSITIONS,
        },
        "members": (0..3).map(member).collect::<Vec<_>>(),
        "notes": [],
    });
    assert_eq!(told, expected);

    let expected = [
        &[
            format!("result      {second}"),
            format!(
                "why         of the available members it ranks position {position} best; {first}, \
                 which ranks it best of all, is out"
            ),
        ][..],
        &middle,
        &[format!("best        {first}, out"), format!("next best   {second}, available")],
    ];
    let expected = expected.concat();
    stage.take_out(&[&format!("web-{}", order[0])]);
    assert_eq!(stage.lines(&words), expected);
}

#[test]
fn random_by_weight_in_words() {
    let scene = Scene::new();
    let weights = [1, 2, 5];
    scene.manifests.apply("web.yaml", &[web()]).expect("a manifest");
    let pods: Vec<_> = (0..3).map(|number| scene.backend(&format!("web-{number}"))).collect();
    for (backend, weight) in pods.iter().zip(weights) {
        let object = web_pod(&backend.pod)
            .set("metadata.annotations", json!({"etm.dev/weight": weight.to_string()}));
        let file = format!("{}.yaml", backend.pod.name());
        scene.manifests.apply(&file, &[object]).expect("a manifest");
    }
    let policy = objects::TrafficPolicy::new("web", json!({"weights": {"podAnnotation": true}}));
    scene.manifests.apply("policy.yaml", &[policy]).expect("a manifest");
    let agent = scene.start();
    let from = scene.client();
    let _kubepods = scene.cgroup.child("kubepods").expect("a cgroup");
    let clients = Vec::new();
    let stage = Stage { scene, pods, clients, _kubepods, from, agent: Some(agent) };
    let words = ["--from", "node", "--to", &format!("[{VIP6}]:80")];
    let mut lines = stage.lines(&words);
    lines[6..9].sort();
    let node = stage.scene.node.ipv6();
    let shares = ["12.5", "25.0", "62.5"];
    let members = (0..3).map(|pod| {
        let (address, weight, share) = (stage.at(pod)[1], weights[pod], shares[pod]);
        format!("member      default/web-{pod} at {address}, available, weight {weight}, {share}% of calls")
    });
    let expected = [
        "result      one of the members below".to_owned(),
        "why         3 available members, at random".to_owned(),
        format!("caller      node node-a at {node}"),
        format!("called      default/web:http/TCP at [{VIP6}]:80"),
        "callers     everyone".to_owned(),
        "balancing   random + weights".to_owned(),
    ];
    let note = "note        which one a call gets cannot be known before it is made".to_owned();
    let expected: Vec<_> = expected.into_iter().chain(members).chain([note]).collect();
    assert_eq!(lines, expected);
    let told = stage.json(&words);
    assert_eq!((&told["result"], &told["destination"]), (&json!("oneOf"), &Value::Null), "{told}");
    let members = told["members"].as_array().expect("members");
    let sum: f64 = members.iter().filter_map(|member| member["share"].as_f64()).sum();
    assert!((sum - 1.0).abs() < 1e-9, "{told}");

    let rows = stage.scene.get("backends");
    for (pod, weight) in weights.into_iter().enumerate() {
        let name = format!("default/web-{pod}");
        let of_pod: Vec<_> = rows.iter().filter(|row| row["pod"] == name.as_str()).collect();
        assert_eq!(of_pod.len(), 4);
        assert!(of_pod.iter().all(|row| row["weight"] == weight), "{of_pod:?}");
    }
    let table = stage.scene.etm(&["get", "backends"]);
    let text = String::from_utf8(table.stdout).expect("text");
    let header: Vec<_> = text.lines().next().expect("a header").split_whitespace().collect();
    assert_eq!(header, ["SERVICE", "ADDRESS", "POD", "STATE", "WEIGHT"]);
}

#[test]
fn least_connections_are_counted() {
    let stage = Stage::new(
        2,
        1,
        &[objects::TrafficPolicy::new("web", json!({"algorithm": "LeastConnections"})).into()],
    );
    let target = SocketAddr::new(VIP4, PORT);
    let caller = stage.clients[0].caller(&stage.from, Protocol::Tcp).keep_open();
    let mut sessions: Vec<_> = (0..4).map(|_| caller.session(target).expect("a caller")).collect();
    for session in &mut sessions {
        session.call().expect("a call").answer.expect("an answer");
    }
    let told = stage.json(&["--from", "caller-1", "--to", "web:http"]);
    assert_eq!(
        told["reason"],
        "2 available members, the less loaded of two that are drawn for each call"
    );
    let counts: Vec<_> = told["members"]
        .as_array()
        .expect("members")
        .iter()
        .map(|member| member["connections"].as_u64().expect("a count"))
        .collect();
    assert_eq!(counts.iter().sum::<u64>(), 4, "{told}");
    let rows = stage.scene.get("backends");
    let shown = rows.iter().filter_map(|row| row["connections"].as_u64()).sum::<u64>();
    assert_eq!(shown, 4, "{rows:?}");
    let table = stage.scene.etm(&["get", "services"]);
    let text = String::from_utf8(table.stdout).expect("text");
    assert!(
        text.lines().nth(1).expect("a row").contains("  least connections  everyone"),
        "{text}"
    );
}
