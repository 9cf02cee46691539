use etm_api::UncheckedTrafficPolicy;
use etm_model::{Change, ObjectName, Weight};
use k8s_openapi::api::core::v1;
use kube::{core::PartialObjectMeta, runtime::watcher::Event};
use serde_json::{Value, from_value, json};

use crate::kubernetes::{
    asked_pods::PodMetadata,
    kind::{Batch, Kind},
    policies::TrafficPolicies,
    table::Table,
};

fn metadata(name: &str, version: u32) -> Value {
    json!({"namespace": "shop", "name": name, "uid": name, "resourceVersion": version.to_string()})
}

fn policy(version: u32, service: &str, weights: &Value) -> UncheckedTrafficPolicy {
    from_value(json!({
        "metadata": metadata("fair", version),
        "spec": {"targetRef": {"name": service}, "loadBalancing": {"weights": weights}},
    }))
    .unwrap()
}

fn pod(name: &str, version: u32, weight: Option<&str>) -> PartialObjectMeta<v1::Pod> {
    let mut metadata = metadata(name, version);
    if let Some(weight) = weight {
        metadata["annotations"] = json!({"etm.dev/weight": weight});
    }
    from_value(json!({"metadata": metadata})).unwrap()
}

fn name(name: &str) -> ObjectName {
    ObjectName::new("shop", name)
}

/// What an event makes of the cluster's state.
pub(super) fn take<K: Kind>(table: &mut Table<K>, event: Event<K::Object>) -> Batch {
    let mut batch = Batch::default();
    table.take(event, std::time::Instant::now(), &mut batch);
    batch
}

#[test]
fn a_policy_asks_for_weights_from_when_it_says_so_until_it_is_gone() {
    let mut table = Table::<TrafficPolicies>::new(None);
    let mut apply =
        |version, weights| take(&mut table, Event::Apply(policy(version, "cart", &weights))).asking;
    assert_eq!(apply(1, json!({})), []);
    assert_eq!(apply(2, json!({"podAnnotation": true})), [(name("fair"), true)]);
    assert_eq!(apply(3, json!({"podAnnotation": true, "services": []})), []);
    assert_eq!(apply(4, json!({"podAnnotation": false})), [(name("fair"), false)]);
    assert_eq!(apply(5, json!({"podAnnotation": true})), [(name("fair"), true)]);
    // One that makes no sense counts as it was.
    assert_eq!(apply(6, json!({"podAnnotation": 7})), []);
    assert_eq!(table.problems().count(), 1);
    let gone = policy(7, "cart", &json!({"podAnnotation": 7}));
    let batch = take(&mut table, Event::Delete(gone));
    assert_eq!(batch.asking, [(name("fair"), false)]);
    assert!(matches!(&*batch.changes, [Change::RemovePolicy(..)]));
    assert_eq!(table.problems().count(), 0);
}

#[test]
fn a_policy_that_moves_to_another_service() {
    let mut table = Table::<TrafficPolicies>::new(None);
    let none = json!({});
    let [Change::SetPolicy(_)] = &*take(&mut table, Event::Apply(policy(1, "cart", &none))).changes
    else {
        panic!("one policy is new")
    };
    let moved = take(&mut table, Event::Apply(policy(2, "web", &none))).changes;
    let [Change::RemovePolicy(from, policy), Change::SetPolicy(set)] = &*moved else {
        panic!("{moved:?}")
    };
    assert_eq!((from, &**policy, &*set.service), (&name("cart"), "fair", "web"));
    // Where the kind itself is taken away, so are its objects.
    let mut batch = Batch::default();
    table.clear(&mut batch);
    assert_eq!(batch.changes, [Change::RemovePolicy(name("web"), "fair".into())]);
    assert!(table.is_complete());
}

#[test]
fn weights_of_pods_are_told_where_they_change() {
    let mut table = Table::<PodMetadata>::new(None);
    let weights = |batch: Batch| -> Vec<_> {
        let weights = |change: &Change| matches!(change, Change::SetPodWeight(..));
        batch.changes.into_iter().filter(weights).collect()
    };
    let mut apply =
        |version, weight| weights(take(&mut table, Event::Apply(pod("cart-1", version, weight))));
    let set = |weight: u16| vec![Change::SetPodWeight(name("cart-1"), Weight::new(weight))];
    assert_eq!(apply(1, None), []);
    assert_eq!(apply(2, Some("7")), set(7));
    assert_eq!(apply(3, Some("7")), []);
    assert_eq!(apply(4, Some("none")), set(1));
    assert_eq!(apply(5, None), [Change::SetPodWeight(name("cart-1"), None)]);
    assert_eq!(apply(6, Some("3")), set(3));
    let gone = weights(take(&mut table, Event::Delete(pod("cart-1", 7, Some("3")))));
    assert_eq!(gone, [Change::SetPodWeight(name("cart-1"), None)]);
}
