//! What nodes take out, told once for the whole cluster: `NodeReport` and Events.

use std::net::SocketAddr;
use std::thread::sleep;
use std::time::Duration;

use etm_testkit::wait::{until, until_some};
use etm_testkit::{Agent, Caller, Pod, Protocol};
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use crate::metrics;
use crate::policies::policy;
use crate::scene::{POD_PORT, Scene, free, slice};
use crate::shipped;

pub(crate) const REPORTS: &str = "/apis/etm.dev/v1alpha1/nodereports";

/// Makes the Node of a name, which the scene's agent takes for its own where it is the namespace's.
pub(crate) fn create_node(scene: &Scene, name: &str) -> Value {
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}});
    scene.cluster.api().create("/api/v1/nodes", &node).expect("a node")
}

/// What a node says of one endpoint.
pub(crate) fn ejected(scene: &Scene, pod: Option<&str>, address: &str) -> Value {
    let mut ejected = json!({
        "namespace": scene.namespace, "address": address, "port": POD_PORT, "protocol": "TCP",
        "services": ["web"], "state": "Ejected", "reason": "ConnectionsFail",
        "message": "5 connections in a row failed, from 2 callers", "since": now(),
    });
    if let Some(pod) = pod {
        ejected["pod"] = json!(pod);
    }
    ejected
}

pub(crate) fn report(scene: &Scene, node: &str, ejected: &[Value]) {
    let report = json!({
        "apiVersion": "etm.dev/v1alpha1",
        "kind": "NodeReport",
        "metadata": {"name": node},
        "spec": {"ejected": ejected},
    });
    scene.cluster.api().apply(&scene.namespace, &[report]).expect("a report");
}

fn now() -> String {
    let now = Timestamp::from_second(Timestamp::now().as_second()).expect("a time");
    now.to_string()
}

/// A Pod's object, and the Service `web` with it and others for endpoints.
fn web(scene: &Scene, pods: &[(&str, std::net::IpAddr)]) -> (SocketAddr, Value, Vec<Value>) {
    let service = scene.create("services", crate::scene::service("web").into());
    let address = crate::scene::address_of(&service);
    let account = json!({
        "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"},
    });
    scene.apply(account);
    let objects: Vec<_> = pods.iter().map(|(name, _)| pod(scene, name)).collect();
    let mut slice: Value =
        slice("web-1", "web", &pods.iter().map(|one| one.1).collect::<Vec<_>>()).into();
    for (at, object) in objects.iter().enumerate() {
        slice["endpoints"][at]["targetRef"] = json!({
            "kind": "Pod",
            "name": object["metadata"]["name"],
            "namespace": scene.namespace,
            "uid": object["metadata"]["uid"],
        });
    }
    slice["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "v1", "kind": "Service", "name": "web", "uid": service["metadata"]["uid"],
    }]);
    scene.create("endpointslices", slice);
    (address, service, objects)
}

fn pod(scene: &Scene, name: &str) -> Value {
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"nodeName": scene.namespace, "containers": [{"name": "a", "image": "a"}]},
    });
    scene.create("pods", pod)
}

/// All Events of the test's namespace that etm has told, as reason and what they are about.
fn events(scene: &Scene) -> Vec<Value> {
    let path = format!("/apis/events.k8s.io/v1/namespaces/{}/events", scene.namespace);
    let list = scene.cluster.api().get(&path).expect("an answer").expect("a list");
    let items = list["items"].as_array().cloned().unwrap_or_default().into_iter();
    items.filter(|event| event["reportingController"] == "etm-controller").collect()
}

fn count(scene: &Scene, reason: &str, kind: &str, name: &str) -> usize {
    let is = |event: &&Value| {
        let regarding = &event["regarding"];
        event["reason"] == reason && regarding["kind"] == kind && regarding["name"] == name
    };
    events(scene).iter().filter(is).count()
}

fn controller(scene: &Scene) -> Agent {
    scene.controller(scene.admin).start().expect("a controller")
}

fn leads(scene: &Scene) -> bool {
    metrics::value_at(scene.admin, "etm_leader") == Some(1.0)
}

#[test]
fn what_the_kernel_ejects_is_reported_and_told_and_so_is_its_return() {
    let scene = Scene::controlled();
    let good = scene.backend("web-1");
    let bad = scene.node.pod("web-2").expect("a Pod");
    let pods = [("web-1", good.pod.ipv4().into()), ("web-2", bad.ipv4().into())];
    let (address, service, objects) = web(&scene, &pods);
    let node = create_node(&scene, &scene.namespace);
    let mut quick = policy("quick", "web", &json!({}));
    quick["spec"]["health"] = json!({
        "ejectionTime": "3s", "maxEjectionTime": "3s",
        "probation": {"interval": "200ms", "successes": 1},
    });
    scene.create("trafficpolicies", quick);
    let _controller = scene.controller(free()).start().expect("a controller");
    let _agent = scene.agent().start().expect("an agent");
    scene.until_members(address, Some(2));
    let path = format!("{REPORTS}/{}", scene.namespace);
    let api = scene.cluster.api();
    let reported = || api.get(&path).expect("an answer");
    let first = until_some("a report", reported);
    assert_eq!(first["spec"]["ejected"], json!([]), "nothing is out");
    assert_eq!(first["metadata"]["ownerReferences"][0]["uid"], node["metadata"]["uid"]);

    let callers: Vec<Pod> = ["one", "two"].map(|name| scene.node.pod(name).expect("a Pod")).into();
    let call = |at: usize| {
        let place = callers[at % 2].place().within(&scene.cgroup);
        Caller::new(&place, Protocol::Tcp).call(address).expect("a call")
    };
    let mut calls = 0..;
    let out = until_some("it is out", || {
        call(calls.next()?);
        let report = reported()?;
        report["spec"]["ejected"].get(0).cloned()
    });
    for (field, expected) in [
        ("pod", json!("web-2")),
        ("namespace", json!(scene.namespace)),
        ("services", json!(["web"])),
        ("reason", json!("ConnectionsFail")),
        ("address", json!(bad.ipv4().to_string())),
    ] {
        assert_eq!(out[field], expected, "{field}");
    }
    assert!(out["since"].is_string() && out["until"].is_string(), "{out}");
    until("it is told of the Pod", || count(&scene, "PodEjected", "Pod", "web-2") == 1);
    until("it is told of the Service", || count(&scene, "PodEjected", "Service", "web") == 1);
    let told = events(&scene);
    let on_pod = told.iter().find(|event| event["regarding"]["kind"] == "Pod").expect("an Event");
    assert_eq!(on_pod["regarding"]["uid"], objects[1]["metadata"]["uid"]);
    assert_eq!(on_pod["related"]["uid"], service["metadata"]["uid"]);
    assert_eq!(on_pod["type"], "Warning");
    let note = on_pod["note"].as_str().expect("a note");
    assert!(note.starts_with("gets no connections from 1 node: "), "{note}");
    // As a user sees it.
    let shown = scene.cluster.kubectl(&["describe", "pod", "web-2", "-n", &scene.namespace]);
    assert!(shown.expect("a description").contains("PodEjected"));
    let shown = scene.cluster.kubectl(&["describe", "service", "web", "-n", &scene.namespace]);
    assert!(shown.expect("a description").contains("PodEjected"));

    let _server = bad.serve(&[POD_PORT], &[]).expect("a server");
    until("it is back", || {
        (0..4).for_each(|at| drop(call(at)));
        reported().is_some_and(|report| report["spec"]["ejected"] == json!([]))
    });
    until("its return is told", || count(&scene, "PodReturned", "Pod", "web-2") == 1);
    until("of the Service too", || count(&scene, "PodReturned", "Service", "web") == 1);
    assert_eq!(events(&scene).len(), 4);
    api.delete(&format!("/api/v1/nodes/{}", scene.namespace)).expect("no node");
    let _ = api.delete(&path);
}

#[test]
fn what_many_nodes_eject_is_told_once_whoever_leads() {
    let scene = Scene::controlled();
    let (_, _, objects) = web(&scene, &[("web-1", [10, 244, 9, 1].into())]);
    let nodes: Vec<_> = (0..40).map(|i| format!("{}-{i}", scene.namespace)).collect();
    let out = [ejected(&scene, Some("web-1"), "10.244.9.1")];
    let first = controller(&scene);
    until("it leads", || leads(&scene));
    for node in &nodes {
        report(&scene, node, &out);
    }
    until("it is told", || count(&scene, "PodEjected", "Pod", "web-1") == 1);
    let told = events(&scene);
    let note = told.iter().find_map(|event| event["note"].as_str()).expect("a note");
    assert!(note.contains("from ") && note.contains(" nodes: 5 connections in a row"), "{note}");
    assert!(told[0]["related"].is_object());
    let uids: Vec<_> = told.iter().map(|event| event["regarding"]["uid"].clone()).collect();
    assert!(uids.contains(&objects[0]["metadata"]["uid"]), "{uids:?}");

    // The next one has never seen the Pod in service.
    first.kill().expect("an end");
    let second = controller(&scene);
    until("the second leads", || leads(&scene));
    report(&scene, "late", &out);
    sleep(Duration::from_secs(8));
    assert_eq!(events(&scene).len(), 2, "{:?}", events(&scene));

    // It comes back while nobody leads.
    second.kill().expect("an end");
    for node in nodes.iter().map(String::as_str).chain(["late"]) {
        scene.cluster.api().delete(&format!("{REPORTS}/{node}")).expect("no report");
    }
    let _third = controller(&scene);
    until("its return is told", || count(&scene, "PodReturned", "Pod", "web-1") == 1);
    sleep(Duration::from_secs(6));
    assert_eq!(events(&scene).len(), 4);
    assert_eq!(metrics::own_problems(&scene), [Value::Null; 0]);
}

#[test]
fn a_pod_that_is_gone_is_not_told_of_and_an_address_is() {
    let scene = Scene::controlled();
    web(&scene, &[("web-1", [10, 244, 9, 1].into())]);
    let external: Value = slice("web-2", "web", &[[10, 244, 9, 7].into()]).into();
    scene.create("endpointslices", external);
    let _controller = controller(&scene);
    until("it leads", || leads(&scene));
    let gone = ejected(&scene, Some("web-0"), "10.244.9.9");
    let address = ejected(&scene, None, "10.244.9.7");
    report(&scene, "node", &[gone, address]);
    until("the address is told of", || count(&scene, "PodEjected", "Service", "web") == 1);
    let note = events(&scene)[0]["note"].clone();
    let note = note.as_str().expect("a note");
    assert!(note.starts_with("endpoint 10.244.9.7 gets no connections from 1 node"), "{note}");
    sleep(Duration::from_secs(3));
    assert_eq!(events(&scene).len(), 1);
    scene.cluster.api().delete(&format!("{REPORTS}/node")).expect("no report");
}

/// An agent must write its own kind alone.
#[test]
fn an_agent_may_write_reports_and_nothing_else() {
    let scene = Scene::new();
    let objects = shipped::objects(scene.cluster);
    let role = shipped::object(&objects, "ClusterRole", shipped::ACCOUNT);
    let rules = role["rules"].as_array().expect("rules").iter();
    let writes = rules.filter(|rule| {
        let verbs = rule["verbs"].as_array().expect("verbs");
        verbs.iter().any(|verb| verb != "list" && verb != "watch")
    });
    let writes: Vec<_> = writes.map(|rule| (&rule["resources"], &rule["verbs"])).collect();
    assert_eq!(writes, [(&json!(["nodereports"]), &json!(["create", "patch"]))]);
}
