//! Headless Services, to which only routes lead: their EndpointSlices are followed for these alone.

use std::net::IpAddr;

use serde_json::{Value, json};

use crate::metrics;
use crate::proxy::Proxy;
use crate::route_conditions::until_condition;
use crate::routes::{route, to, told};
use crate::scene::{POD_PORT, Scene, addresses, free, slice};
use etm_testkit::wait::until;

const HEADLESS: &str = "service.kubernetes.io/headless";
const SLICES: &str = "/apis/discovery.k8s.io/v1/endpointslices";

fn headless(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"clusterIP": "None", "ports": [{"name": "http", "port": POD_PORT}]},
    })
}

/// As the cluster's own controller writes the slice of a headless Service.
fn of_headless(name: &str, service: &str, endpoints: &[IpAddr]) -> Value {
    slice(name, service, endpoints).label(HEADLESS, "").into()
}

/// Selectors by which slices were asked for, those of all other Services left out.
fn asked(proxy: &Proxy) -> Vec<String> {
    let seen = proxy.seen();
    let slices = seen.iter().filter(|seen| seen.path == SLICES);
    let others = slices.filter(|seen| !seen.query.contains("%21service.kubernetes.io%2Fheadless"));
    others.map(|seen| seen.query.clone()).collect()
}

#[test]
fn a_route_leads_to_a_headless_service_and_only_to_those_that_are_named() {
    let scene = Scene::policies();
    let proxy = Proxy::start(scene.cluster.kubeconfig());
    let (old, new) = (scene.backend("old"), scene.backend("new"));
    let web = scene.service("web");
    scene.slice("web-1", "web", &[old.pod.ipv4().into()]);
    for name in ["blue", "green", "other"] {
        scene.create("services", headless(name));
    }
    let (_client, caller) = scene.caller();
    let kubeconfig = proxy.kubeconfig(scene.state.path());
    let _agent = scene.agent_with(&kubeconfig).start().expect("an agent");
    scene.until_members(web, Some(1));
    let found = || caller.call(web).expect("a call").pod().map(str::to_owned);
    assert_eq!(found().as_deref(), Some("old"));
    // Other tests on this API server name Services of other names.
    let of_here = |names: &str| {
        let part = format!("%2C{}", HEADLESS.replace('/', "%2F"));
        asked(&proxy).iter().any(|query| {
            query.contains("service-name+in+%28") && query.contains(names) && query.contains(&part)
        })
    };
    assert!(!of_here("green"), "{:?}", asked(&proxy));

    // The slices are there before the route is, and others come later.
    scene.create("endpointslices", of_headless("green-1", "green", &[new.pod.ipv4().into()]));
    scene.create("endpointslices", of_headless("other-1", "other", &addresses(3)));
    scene.create("trafficroutes", route("split", "web", &to(&[("green", 1)])));
    until("callers reach the headless one", || found().as_deref() == Some("new"));
    assert!(of_here("green"), "{:?}", asked(&proxy));
    assert_eq!(told(&scene, &format!("TrafficRoute {}/split", scene.namespace)), [""; 0]);

    // Another one beside it: the whole selector is another, and nobody is sent anywhere else.
    scene.create("endpointslices", of_headless("blue-1", "blue", &[old.pod.ipv4().into()]));
    scene.apply(route("split", "web", &to(&[("blue", 1), ("green", 1)])));
    let mut both = std::collections::BTreeSet::new();
    until("callers reach both", || {
        both.extend(found());
        both.len() == 2
    });
    assert!(of_here("blue%2Cgreen"), "{:?}", asked(&proxy));

    // A Pod goes: the change is heard of.
    scene.apply(route("split", "web", &to(&[("green", 1)])));
    scene.apply(of_headless("green-1", "green", &[old.pod.ipv4().into()]));
    until("callers follow the slice", || (0..5).all(|_| found().as_deref() == Some("old")));
    scene.apply(of_headless("green-1", "green", &[new.pod.ipv4().into()]));
    until("callers follow it back", || (0..5).all(|_| found().as_deref() == Some("new")));

    // Without a route nobody asks for it any more.
    scene.delete("trafficroutes", "split");
    until("callers go as before", || (0..5).all(|_| found().as_deref() == Some("old")));
    let other = asked(&proxy).iter().any(|query| query.contains("other"));
    assert!(!other, "what no route names is not asked for: {:?}", asked(&proxy));
    assert!(metrics::page(&scene, "/metrics").contains(r#"watch="headlessslices""#));
}

#[test]
fn a_slice_stays_where_its_label_comes_and_goes() {
    let scene = Scene::policies();
    let backend = scene.backend("new");
    let web = scene.service("web");
    scene.slice("web-1", "web", &addresses(1));
    scene.create("services", headless("amber"));
    let (_client, caller) = scene.caller();
    scene.create("endpointslices", of_headless("amber-1", "amber", &[backend.pod.ipv4().into()]));
    scene.create("trafficroutes", route("split", "web", &to(&[("amber", 1)])));
    let _agent = scene.agent().start().expect("an agent");
    let is_new = || caller.call(web).expect("a call").pod() == Some("new");
    until("callers reach it", is_new);
    let path = scene.path("endpointslices", "amber-1");
    let unlabel = json!({"metadata": {"labels": {HEADLESS: null}}});
    for _ in 0..5 {
        scene
            .cluster
            .kubectl(&[
                "patch",
                "endpointslice",
                "amber-1",
                "--namespace",
                &scene.namespace,
                "--type",
                "merge",
                "--patch",
                &unlabel.to_string(),
            ])
            .expect("a patch");
        let labels = scene.cluster.api().get(&path).expect("an answer").expect("a slice");
        assert_eq!(labels["metadata"]["labels"][HEADLESS], Value::Null);
        // Long enough for either watch to tell of it.
        for _ in 0..20 {
            assert!(is_new());
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        scene.apply(of_headless("amber-1", "amber", &[backend.pod.ipv4().into()]));
        for _ in 0..20 {
            assert!(is_new());
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}

#[test]
fn the_status_of_a_route_to_a_headless_service_says_so() {
    let scene = Scene::controlled();
    scene.service("web");
    scene.create("services", headless("green"));
    scene.create("endpointslices", of_headless("green-1", "green", &addresses(1)));
    scene.create("trafficroutes", route("split", "web", &to(&[("green", 1)])));
    let _controller = scene.controller(free()).start().expect("a controller");
    until_condition(&scene, "split", "Accepted", "Accepted");
    until_condition(&scene, "split", "ResolvedRefs", "ResolvedRefs");
}
