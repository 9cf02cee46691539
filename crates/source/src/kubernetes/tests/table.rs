use std::time::{Instant, SystemTime};

use etm_model::{Change, PodChange, Weight};
use k8s_openapi::api::{core::v1, discovery::v1 as discovery};
use kube::runtime::watcher::Event;
use serde_json::{Value, from_value, json};

use crate::kubernetes::{
    kind::{Batch, EndpointSlices, Kind, Nodes, Pods, Services},
    table::Table,
};

fn service(name: &str, uid: &str, version: u32, spec: &Value) -> v1::Service {
    from_value(json!({
        "metadata": {
            "namespace": "shop", "name": name, "uid": uid, "resourceVersion": version.to_string()
        },
        "spec": spec,
    }))
    .unwrap()
}

fn cart(version: u32) -> v1::Service {
    service("cart", "1", version, &json!({"clusterIP": "10.96.0.1", "ports": [{"port": 80}]}))
}

fn slice(name: &str, version: u32, service: &str, triggered: &str) -> discovery::EndpointSlice {
    from_value(json!({
        "metadata": {
            "namespace": "shop", "name": name, "uid": name, "resourceVersion": version.to_string(),
            "labels": {"kubernetes.io/service-name": service},
            "annotations": {"endpoints.kubernetes.io/last-change-trigger-time": triggered},
        },
        "addressType": "IPv4",
        "endpoints": [],
    }))
    .unwrap()
}

fn pod(uid: &str, version: u32, phase: &str) -> v1::Pod {
    from_value(json!({
        "metadata": {
            "namespace": "shop", "name": "web-0", "uid": uid, "resourceVersion": version.to_string()
        },
        "status": {"phase": phase},
    }))
    .unwrap()
}

/// Takes events in, and gives what they come to.
fn take<K: Kind>(
    table: &mut Table<K>,
    events: impl IntoIterator<Item = Event<K::Object>>,
) -> Batch {
    let mut batch = Batch::default();
    for event in events {
        table.take(event, Instant::now(), &mut batch);
    }
    batch
}

fn listed<O>(objects: impl IntoIterator<Item = O>) -> Vec<Event<O>> {
    let objects = objects.into_iter().map(Event::InitApply);
    [Event::Init].into_iter().chain(objects).chain([Event::InitDone]).collect()
}

/// Changes in few words.
fn told(batch: &Batch) -> Vec<String> {
    let words = |change: &Change| match change {
        Change::Node(node) => format!("node {}", node.name),
        Change::SetService(service) => format!("set {}", service.name),
        Change::RemoveService(name) => format!("remove {name}"),
        Change::SetSlice(slice) => format!("set {} of {}", slice.name, slice.service),
        Change::RemoveSlice(service, slice) => format!("remove {slice} of {service}"),
        Change::SetPolicy(policy) => format!("set {} for {}", policy.name, policy.service),
        Change::RemovePolicy(service, policy) => format!("remove {policy} for {service}"),
        Change::SetEjectedNodes(nodes) => format!("eject {:?}", nodes.keys()),
        Change::SetRoutes(owner, routes) => {
            format!("{} {}: {} routes", owner.kind.name(), owner.name, routes.len())
        }
        Change::SetGrant(grant) => format!("grant {}", grant.name),
        Change::RemoveGrant(name) => format!("-grant {name}"),
        Change::SetCaller(number, _) => format!("caller {number}"),
        Change::SetNamespace(name, _) => format!("namespace {name}"),
        Change::SetPodLabels(pod, _) => format!("labels of {pod}"),
        Change::SetPodWeight(pod, weight) => format!("weigh {pod} {:?}", weight.map(Weight::get)),
    };
    batch.changes.iter().map(words).collect()
}

#[test]
fn nothing_is_told_before_a_list_is_complete() {
    let mut table = Table::<Services>::new(None);
    let batch = take(&mut table, [Event::Init, Event::InitApply(cart(1))]);
    assert!(told(&batch).is_empty() && !table.is_complete());
    assert_eq!(told(&take(&mut table, [Event::InitDone])), ["set shop/cart"]);
    assert!(table.is_complete());
}

#[test]
fn an_empty_list_is_complete() {
    let mut table = Table::<Services>::new(None);
    assert!(told(&take(&mut table, listed([]))).is_empty());
    assert!(table.is_complete());
}

#[test]
fn what_a_list_lacks_is_gone_at_its_end() {
    let mut table = Table::<EndpointSlices>::new(None);
    let (one, two) = (slice("one", 1, "cart", ""), slice("two", 2, "cart", ""));
    take(&mut table, listed([one.clone(), two]));
    let batch = take(&mut table, [Event::Init, Event::InitApply(one)]);
    assert!(told(&batch).is_empty(), "the old state counts until the end");
    assert_eq!(told(&take(&mut table, [Event::InitDone])), ["remove two of shop/cart"]);
}

#[test]
fn a_list_that_is_cut_off_counts_for_nothing() {
    let mut table = Table::<Services>::new(None);
    take(&mut table, listed([cart(1)]));
    let other =
        service("other", "2", 5, &json!({"clusterIP": "10.96.0.2", "ports": [{"port": 80}]}));
    let cut = [Event::Init, Event::InitApply(other), Event::Init, Event::InitApply(cart(1))];
    assert!(told(&take(&mut table, cut)).is_empty());
    assert!(told(&take(&mut table, [Event::InitDone])).is_empty());
}

#[test]
fn a_list_tells_only_what_is_different() {
    let mut table = Table::<Services>::new(None);
    let other =
        service("other", "2", 5, &json!({"clusterIP": "10.96.0.2", "ports": [{"port": 80}]}));
    take(&mut table, listed([cart(1), other.clone()]));
    assert_eq!(told(&take(&mut table, listed([cart(2), other]))), ["set shop/cart"]);
}

#[test]
fn made_anew_under_the_same_name() {
    let mut table = Table::<Services>::new(None);
    let spec = json!({"clusterIP": "10.96.0.7", "ports": [{"port": 80}]});
    let anew = || service("cart", "2", 1, &spec);
    take(&mut table, listed([cart(1)]));
    let batch = take(&mut table, [Event::Delete(cart(2)), Event::Apply(anew())]);
    assert_eq!(told(&batch), ["remove shop/cart", "set shop/cart"]);
    // The same between two lists, with a version that happens to be equal.
    let mut table = Table::<Services>::new(None);
    take(&mut table, listed([cart(1)]));
    assert_eq!(told(&take(&mut table, listed([anew()]))), ["set shop/cart"]);
}

#[test]
fn types_that_are_not_handled_come_and_go() {
    let mut table = Table::<Services>::new(None);
    let ports = json!([{"port": 80, "nodePort": 30080}]);
    let of_type = |version, spec| service("cart", "1", version, &spec);
    let cluster = json!({"type": "ClusterIP", "clusterIP": "10.96.0.1", "ports": ports});
    let external = json!({"type": "ExternalName", "externalName": "a.example"});
    let headless = json!({"clusterIP": "None", "ports": ports});
    for (version, spec, expected) in [
        (1, &cluster, vec!["set shop/cart"]),
        (2, &external, vec!["remove shop/cart"]),
        (3, &headless, vec![]),
        (4, &cluster, vec!["set shop/cart"]),
    ] {
        let batch = take(&mut table, [Event::Apply(of_type(version, spec.clone()))]);
        assert_eq!(told(&batch), expected, "{spec}");
    }
    assert!(told(&take(&mut table, [Event::Delete(cart(9))])) == ["remove shop/cart"]);
    assert!(told(&take(&mut table, [Event::Delete(cart(9))])).is_empty(), "it is gone already");
}

#[test]
fn only_this_proxy_s_services() {
    let labelled = |value: &str, version| {
        let mut object = cart(version);
        let labels = object.metadata.labels.get_or_insert_default();
        labels.insert("service.kubernetes.io/service-proxy-name".into(), value.into());
        object
    };
    let mut table = Table::<Services>::new(Some("etm".into()));
    let others = take(&mut table, [Event::Apply(labelled("other", 1))]);
    assert!(told(&others).is_empty());
    let own = take(&mut table, [Event::Apply(labelled("etm", 2)), Event::Apply(labelled("x", 3))]);
    assert_eq!(told(&own), ["set shop/cart", "remove shop/cart"]);
}

#[test]
fn a_slice_moves_to_another_service() {
    let mut table = Table::<EndpointSlices>::new(None);
    take(&mut table, listed([slice("one", 1, "cart", "")]));
    let batch = take(&mut table, [Event::Apply(slice("one", 2, "till", ""))]);
    assert_eq!(told(&batch), ["remove one of shop/cart", "set shop/one of till"]);
}

#[test]
fn problems_go_with_their_object() {
    let mut table = Table::<Services>::new(None);
    let bad = json!({"clusterIP": "10.96.0.1", "ports": [{"port": 80, "protocol": "X"}]});
    take(&mut table, listed([service("cart", "1", 1, &bad)]));
    assert_eq!(table.problems().next().unwrap().object, "Service shop/cart");
    take(&mut table, [Event::Apply(cart(2))]);
    assert_eq!(table.problems().next(), None);
    take(&mut table, [Event::Apply(service("cart", "1", 3, &bad)), Event::Delete(cart(4))]);
    assert_eq!(table.problems().next(), None);
}

#[test]
fn each_trigger_counts_once() {
    const ONE: &str = "2026-11-23T10:00:00.5Z";
    const TWO: &str = "2026-11-23T10:00:07Z";
    let mut table = Table::<EndpointSlices>::new(None);
    take(&mut table, listed([slice("one", 1, "cart", ONE)]));
    let events = [
        Event::Apply(slice("one", 2, "cart", ONE)),
        Event::Apply(slice("one", 3, "cart", TWO)),
        Event::Apply(slice("one", 4, "cart", "nonsense")),
        Event::Delete(slice("one", 5, "cart", "2026-11-23T10:00:09Z")),
    ];
    let triggers: Vec<_> =
        take(&mut table, events).arrivals.iter().map(|arrival| arrival.triggered).collect();
    let two = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_795_428_007);
    assert_eq!(triggers, [None, Some(two), None, None]);
}

#[test]
fn the_api_servers_own_slices() {
    let mut table = Table::<EndpointSlices>::new(None);
    let object = json!({
        "metadata": {
            "namespace": "default", "name": "kubernetes", "uid": "1", "resourceVersion": "1",
            "labels": {"kubernetes.io/service-name": "kubernetes"},
        },
        "addressType": "IPv4",
        "ports": [{"name": "metrics", "port": 9000}, {"name": "https", "port": 6443}],
        "endpoints": [
            {"addresses": ["10.0.0.1"]},
            {"addresses": ["10.0.0.2"], "conditions": {"ready": false}},
        ],
    });
    let object: discovery::EndpointSlice = from_value(object).unwrap();
    let batch = take(&mut table, listed([object.clone()]));
    assert_eq!(batch.api_servers, [("kubernetes".into(), vec!["10.0.0.1:6443".parse().unwrap()])]);
    let batch = take(&mut table, [Event::Delete(object)]);
    assert_eq!(batch.api_servers, [("kubernetes".into(), vec![])]);
}

#[test]
fn pods_that_finish_are_gone() {
    let mut table = Table::<Pods>::new(None);
    let told = |batch: Batch| -> Vec<String> {
        let words = |change: &PodChange| match change {
            PodChange::Set(pod) => format!("set {}", pod.uid),
            PodChange::Remove(_, uid) => format!("remove {uid}"),
        };
        batch.pods.iter().map(words).collect()
    };
    let batch = take(&mut table, listed([pod("a", 1, "Running")]));
    assert_eq!(told(batch), ["set a"]);
    let batch = take(&mut table, listed([pod("b", 2, "Pending")]));
    assert_eq!(told(batch), ["remove a", "set b"]);
    let batch = take(&mut table, [Event::Apply(pod("b", 3, "Failed"))]);
    assert_eq!(told(batch), ["remove b"]);
}

#[test]
fn a_node_that_is_gone_has_no_addresses() {
    let mut table = Table::<Nodes>::new(None);
    let node: v1::Node = from_value(json!({
        "metadata": {"name": "a", "uid": "1", "resourceVersion": "1"},
        "status": {"addresses": [{"type": "InternalIP", "address": "10.0.0.1"}]},
    }))
    .unwrap();
    let batch = take(&mut table, listed([node.clone()]));
    assert_eq!(batch.node.unwrap().addresses.len(), 1);
    assert!(take(&mut table, [Event::Delete(node)]).node.unwrap().addresses.is_empty());
}
