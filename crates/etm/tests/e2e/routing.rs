//! Who calls which version: routes, by real sockets of callers that differ in nothing but their Pods.

use std::collections::{BTreeMap, BTreeSet};

use etm_abi::{Counter, FRONTEND_ROUTED};
use etm_testkit::Protocol;
use etm_testkit::wait::until;
use serde_json::{Value, json};

use crate::balancing::{
    crowd::{self, callers_of},
    stage::{Stage, TARGET, policy},
};
use crate::scene::{REFUSED, web_pod};

pub(crate) const CALLERS: u32 = 40;

/// Service `web` with a Pod of each version, and a crowd in namespaces `green` and `amber`.
pub(crate) fn stage(route: &Value) -> Stage {
    let prepare = |scene: &crate::scene::Scene| set_route(scene, route);
    let stage = Stage::prepared(2, CALLERS, prepare, |agent| agent);
    version(&stage, "web-0", "1");
    version(&stage, "web-1", "2");
    until("the frontends have routes", || routed(&stage));
    stage
}

fn version(stage: &Stage, pod: &str, version: &str) {
    let object = web_pod(stage.pod(pod)).label("version", version);
    stage.scene.manifests.apply(&format!("pod-{pod}.yaml"), &[object]).expect("a manifest");
}

fn routed(stage: &Stage) -> bool {
    let contents = stage.contents();
    contents.frontends.values().all(|frontend| {
        frontend.flags & FRONTEND_ROUTED != 0 && contents.targets(frontend).len() > 1
    })
}

pub(crate) fn set_route(scene: &crate::scene::Scene, rules: &Value) {
    let route = json!({
        "apiVersion": "etm.dev/v1alpha1",
        "kind": "TrafficRoute",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"targetRef": {"name": "web"}, "rules": rules},
    });
    scene.manifests.apply("route.yaml", &[route]).expect("a manifest");
}

pub(crate) fn to(version: &str) -> Value {
    json!({"subset": {"matchLabels": {"version": version}}})
}

/// Writes another route down and waits until the maps have another one.
fn change(stage: &Stage, rules: &Value) {
    let before = stage.contents().routes;
    set_route(&stage.scene, rules);
    until("the maps have another route", || {
        let after = stage.contents().routes;
        after != before
    });
}

fn all(stage: &Stage) -> BTreeSet<String> {
    stage.crowd.names().map(str::to_owned).collect()
}

fn of_namespace(namespace: &str) -> BTreeSet<String> {
    let numbers = (0..CALLERS).filter(|number| crowd::namespace(*number) == namespace);
    numbers.map(crowd::name).collect()
}

#[test]
fn callers_of_a_namespace_reach_the_new_version_and_others_the_old_one() {
    let stage = stage(&json!([
        {"from": [{"namespaces": ["green"]}], "to": [to("2")]},
        {"to": [to("1")]},
    ]));
    for protocol in [Protocol::Tcp, Protocol::UdpConnected, Protocol::UdpUnconnected] {
        for _ in 0..3 {
            let found = stage.crowd.found_by(TARGET, protocol, |caller| caller);
            assert_eq!(callers_of(&found, "web-1"), of_namespace("green"), "{protocol:?}");
            assert_eq!(callers_of(&found, "web-0"), of_namespace("amber"), "{protocol:?}");
        }
    }
    let call = stage.node(Protocol::Tcp).call(TARGET).expect("a call");
    assert_eq!(call.pod(), Some("web-0"), "processes of the node are of no namespace");
}

#[test]
fn a_share_of_callers_stays_the_same_and_grows_by_others() {
    let share = |percent: u32| json!([{"percent": percent, "to": [to("2")]}, {"to": [to("1")]}]);
    let stage = stage(&share(25));
    let of_new = |stage: &Stage| callers_of(&stage.crowd.found(TARGET), "web-1");
    let quarter = of_new(&stage);
    assert!((4..=16).contains(&quarter.len()), "{} of {CALLERS}", quarter.len());
    assert_eq!(of_new(&stage), quarter, "the same the next time");
    change(&stage, &share(60));
    let more = of_new(&stage);
    assert!(more.is_superset(&quarter) && more.len() > quarter.len(), "{quarter:?} {more:?}");
    change(&stage, &share(100));
    assert_eq!(of_new(&stage), all(&stage));
}

#[test]
fn connections_are_divided_by_weight() {
    let mut one = to("1");
    let mut two = to("2");
    (one["weight"], two["weight"]) = (json!(3), json!(1));
    let stage = stage(&json!([{"to": [one, two]}]));
    let mut counts = BTreeMap::new();
    for _ in 0..20 {
        for pod in stage.crowd.found(TARGET).into_values() {
            *counts.entry(pod).or_insert(0_u32) += 1;
        }
    }
    // 800 connections, a quarter of them: beyond six standard deviations once in 10^9 runs.
    let new = counts["web-1"];
    assert!((126..=274).contains(&new), "{counts:?}");
}

#[test]
fn a_rule_denies_and_is_counted() {
    let stage = stage(&json!([
        {"from": [{"namespaces": ["amber"]}], "deny": true},
        {"from": [{"namespaces": ["green"]}], "to": [to("2")]},
    ]));
    let (amber, green) = (crowd::name(1), crowd::name(0));
    for (protocol, counter) in [
        (Protocol::Tcp, Counter::ConnectDenied),
        (Protocol::UdpConnected, Counter::ConnectDenied),
        (Protocol::UdpUnconnected, Counter::SendDenied),
    ] {
        let before = stage.scene.counters()[&counter];
        let call = stage.crowd.caller(&amber, protocol).call(TARGET).expect("a call");
        assert_eq!(call.errno, REFUSED, "{call:?}");
        assert_eq!(stage.scene.counters()[&counter], before + 1, "{protocol:?}");
        let call = stage.crowd.caller(&green, protocol).call(TARGET).expect("a call");
        assert_eq!(call.pod(), Some("web-1"), "{call:?}");
    }
    let told =
        stage.scene.etm(&["explain", "--from", &format!("amber/{amber}"), "--to", "web:http"]);
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains("refused") && told.contains("a rule of a route denies"), "{told}");
}

#[test]
fn a_restart_and_a_crash_leave_every_caller_where_it_was() {
    let rules = json!([
        {"percent": 50, "to": [to("2")]},
        {"to": [to("1")]},
    ]);
    let mut stage = stage(&rules);
    let before = stage.crowd.found(TARGET);
    stage.stop();
    assert_eq!(stage.crowd.found(TARGET), before, "without an agent");
    let agent = stage.scene.start();
    let line = agent.ready_line().to_owned();
    stage.agent = Some(agent);
    stage.crowd.until_known(&stage.scene.pin());
    assert!(line.contains("0 added, 0 changed, 0 removed, 0 repaired"), "{line}");
    assert_eq!(stage.crowd.found(TARGET), before);
    // Hashing is another question than who gets which version.
    let hashed = policy(crate::balancing::stage::hash(&["callerPod"]));
    stage.scene.manifests.apply("policy.yaml", &[hashed]).expect("a manifest");
    until("the tables are hashed", || {
        let contents = stage.contents();
        contents.frontends.values().all(|frontend| {
            let targets = contents.targets(frontend);
            targets.into_iter().all(|target| contents.balance(target).is_some())
        })
    });
    assert_eq!(stage.crowd.found(TARGET), before);
}

#[test]
fn a_caller_that_comes_later_is_known_to_routes_before_its_first_call() {
    let rules = json!([{"from": [{"namespaces": ["green"]}], "to": [to("2")]}, {"to": [to("1")]}]);
    let stage = stage(&rules);
    // Gone and back under another number.
    let pods = crowd::manifests(CALLERS);
    stage.scene.manifests.apply("callers.yaml", &pods[1..]).expect("a manifest");
    let name = crowd::name(0);
    let class = || stage.crowd.caller(&name, Protocol::Tcp).call(TARGET).expect("a call");
    until("it is unknown", || class().pod() == Some("web-0"));
    stage.scene.manifests.apply("callers.yaml", &pods).expect("a manifest");
    until("it is known again", || class().pod() == Some("web-1"));
    for _ in 0..50 {
        assert_eq!(class().pod(), Some("web-1"));
    }
}

#[test]
fn explain_and_get_tell_who_gets_what() {
    let mut one = to("1");
    let mut two = to("2");
    (one["weight"], two["weight"]) = (json!(3), json!(1));
    let rules = json!([{"from": [{"namespaces": ["green"]}], "to": [to("2")]}, {"to": [one, two]}]);
    let stage = stage(&rules);
    let explain = |from: &str| -> Value {
        let words = ["explain", "--from", from, "--to", "web:http", "-o", "json"];
        let output = stage.scene.etm(&words);
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).expect("JSON")
    };
    let green = explain(&format!("green/{}", crowd::name(0)));
    assert_eq!(green["result"], "pod", "{green}");
    assert_eq!(green["destination"]["pod"], "default/web-1", "{green}");
    let amber = explain(&format!("amber/{}", crowd::name(1)));
    assert_eq!(amber["result"], "oneOf", "{amber}");
    let parts: Vec<_> = amber["route"]["parts"].as_array().expect("parts").iter().collect();
    let shares = parts.iter().map(|part| (&part["share"], &part["members"][0]["pod"]));
    let expected =
        [(&json!(0.75), &json!("default/web-0")), (&json!(0.25), &json!("default/web-1"))];
    assert_eq!(shares.collect::<Vec<_>>(), expected, "{amber}");
    assert_ne!(amber["route"]["class"], green["route"]["class"]);

    let rows = stage.scene.get("routes");
    let row = |callers: &str| {
        let mut rows = rows.iter().filter(|row| row["address"] == TARGET.to_string().as_str());
        let named = format!("{callers}/");
        rows.find(|row| {
            let names: Vec<_> = row["callers"].as_array().expect("callers").iter().collect();
            if callers.is_empty() {
                return names.is_empty();
            }
            names.iter().any(|name| name.as_str().is_some_and(|name| name.starts_with(&named)))
        })
    };
    let green = row("green").expect("a row");
    assert_eq!(green["callers"].as_array().map(Vec::len), Some(CALLERS as usize / 2), "{green}");
    let only_new = json!([{"share": 1.0, "backends": ["default/web-1"]}]);
    assert_eq!(green["shares"], only_new);
    assert_eq!(row("").expect("everyone else")["shares"].as_array().map(Vec::len), Some(2));
}

#[test]
fn a_headless_service_is_a_destination() {
    let stage = stage(&json!([
        {"from": [{"namespaces": ["amber"]}], "to": [to("2")]},
        {"to": [to("1")]},
    ]));
    let headless = etm_testkit::objects::Service::new("new", &[])
        .set("spec.clusterIP", "None")
        .set("spec.clusterIPs", vec!["None"])
        .port("http", "TCP", crate::scene::POD_PORT, crate::scene::POD_PORT)
        .selector("version", "2");
    let rules = json!([
        {"from": [{"namespaces": ["green"]}], "to": [{"service": {"name": "new"}}]},
        {"to": [to("1")]},
    ]);
    stage.scene.manifests.apply("new.yaml", &[headless]).expect("a manifest");
    change(&stage, &rules);
    let of_new = || {
        let found = stage.crowd.found_by(TARGET, Protocol::Tcp, |caller| caller);
        callers_of(&found, "web-1")
    };
    assert_eq!(of_new(), of_namespace("green"));
    // Its Pods are followed: whoever gets the label is one of them, and who loses it is none.
    version(&stage, "web-1", "1");
    version(&stage, "web-0", "2");
    until("they have changed places", || of_new() == of_namespace("amber"));
}
