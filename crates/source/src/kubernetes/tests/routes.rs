use etm_model::{Change, ObjectName, RouteKind, RouteOwner};
use k8s_openapi::api::core::v1;
use kube::{core::PartialObjectMeta, runtime::watcher::Event};
use serde_json::{Value, from_value, json};

use crate::kubernetes::{
    asked_pods::PodMetadata,
    asking::Asking,
    kind::{Batch, Kind},
    routes::{ObservedTrafficRoutes, Said, TrafficRoutes},
    table::Table,
    withhold,
};

fn route(version: u32, to: &Value) -> etm_api::UncheckedTrafficRoute {
    from_value(json!({
        "metadata": {
            "namespace": "shop",
            "name": "split",
            "uid": "split",
            "resourceVersion": version.to_string(),
        },
        "spec": {"targetRef": {"name": "cart"}, "rules": [{"to": to}]},
    }))
    .unwrap()
}

fn service(name: &str) -> Value {
    json!([{"service": {"name": name}}])
}

fn subset() -> Value {
    json!([{"subset": {"matchLabels": {"version": "2"}}}])
}

fn take<K: Kind>(table: &mut Table<K>, event: Event<K::Object>) -> Batch {
    let mut batch = Batch::default();
    table.take(event, std::time::Instant::now(), &mut batch);
    batch
}

fn owner() -> RouteOwner {
    RouteOwner { kind: RouteKind::TrafficRoute, name: ObjectName::new("shop", "split") }
}

#[test]
fn a_route_is_told_where_it_changes() {
    let mut table = Table::<TrafficRoutes>::new(None);
    let mut apply = |version, to| take(&mut table, Event::Apply(route(version, &to))).changes;
    assert!(matches!(&*apply(1, service("v2")), [Change::SetRoutes(of, routes)]
        if *of == owner() && routes.len() == 1));
    // Whoever writes its status changes nothing.
    assert_eq!(apply(2, service("v2")), []);
    assert_eq!(apply(3, service("v3")).len(), 1);
    // What makes no sense counts as it was.
    assert_eq!(apply(4, json!([])), []);
    let gone = take(&mut table, Event::Delete(route(5, &json!([])))).changes;
    assert_eq!(gone, [Change::SetRoutes(owner(), Vec::new())]);
}

#[test]
fn whoever_writes_its_status_hears_of_what_makes_no_sense() {
    let mut table = Table::<ObservedTrafficRoutes>::new(None);
    let batch = take(&mut table, Event::Apply(route(1, &service("v2"))));
    assert_eq!((batch.changes.len(), batch.observed_routes.len()), (1, 1));
    let batch = take(&mut table, Event::Apply(route(2, &json!([]))));
    assert_eq!(batch.changes, [Change::SetRoutes(owner(), Vec::new())]);
    let (_, Some(observed)) = &batch.observed_routes[0] else { panic!("it is there") };
    assert!(matches!(&observed.said, Said::Own(Err(problems)) if problems.len() == 1));
    let batch = take(&mut table, Event::Delete(route(3, &json!([]))));
    assert_eq!(batch.observed_routes, [(owner(), None)]);
}

#[test]
fn a_subset_asks_for_labels_for_as_long_as_it_is_there() {
    let mut table = Table::<TrafficRoutes>::new(None);
    let mut asking = Asking::default();
    let mut apply = |event| {
        let mut batch = take(&mut table, event);
        let any = asking.take(&mut batch);
        (any, asking.labels().into_iter().map(|of| of.to_string()).collect::<Vec<_>>())
    };
    let shop = || vec!["shop".to_owned()];
    assert_eq!(apply(Event::Apply(route(1, &service("v2")))), (true, vec![]));
    assert_eq!(apply(Event::Apply(route(2, &subset()))), (true, shop()));
    assert_eq!(apply(Event::Apply(route(3, &subset()))), (false, shop()));
    assert_eq!(apply(Event::Apply(route(4, &json!([])))), (false, shop()));
    assert_eq!(apply(Event::Apply(route(5, &service("v2")))), (true, vec![]));
    assert_eq!(apply(Event::Apply(route(6, &subset()))), (true, shop()));
    assert_eq!(apply(Event::Delete(route(7, &subset()))), (true, vec![]));
    assert!(!asking.any_route());
}

#[test]
fn routes_wait_in_their_order_for_what_they_ask_for() {
    let set = |routes: usize| {
        let mut table = Table::<TrafficRoutes>::new(None);
        let changes =
            take(&mut table, Event::Apply(route(1, &service(&format!("v{routes}"))))).changes;
        changes.into_iter().next().unwrap()
    };
    let other = |name: &str| Change::RemoveService(ObjectName::new("shop", name));
    let mut withheld = Vec::new();
    let mut changes = vec![other("a"), set(1), other("b")];
    withhold(&mut withheld, false, &mut changes);
    assert_eq!(changes, [other("a"), other("b")]);
    let mut changes = vec![set(2)];
    withhold(&mut withheld, false, &mut changes);
    assert_eq!(changes, []);
    // What was waited for comes with what lets them go, and before them.
    let mut changes = vec![set(3), other("labels")];
    withhold(&mut withheld, true, &mut changes);
    assert_eq!(changes, [other("labels"), set(1), set(2), set(3)]);
    let mut changes = vec![set(4), other("c")];
    withhold(&mut withheld, true, &mut changes);
    assert_eq!(changes, [set(4), other("c")], "nothing waits");
}

#[test]
fn labels_of_pods_are_told_where_they_change() {
    let pod = |version: u32, labels: &Value| -> PartialObjectMeta<v1::Pod> {
        from_value(json!({"metadata": {
            "namespace": "shop",
            "name": "cart-1",
            "uid": "cart-1",
            "resourceVersion": version.to_string(),
            "labels": labels,
        }}))
        .unwrap()
    };
    let name = || ObjectName::new("shop", "cart-1");
    let mut table = Table::<PodMetadata>::new(None);
    let mut apply = |version, labels| take(&mut table, Event::Apply(pod(version, &labels))).changes;
    let set = |value: &str| {
        let labels = [("version".into(), value.into())].into();
        vec![Change::SetPodLabels(name(), Some(labels))]
    };
    assert_eq!(apply(1, json!({"version": "1"})), set("1"));
    assert_eq!(apply(2, json!({"version": "1"})), []);
    assert_eq!(apply(3, json!({"version": "2"})), set("2"));
    let gone = take(&mut table, Event::Delete(pod(4, &json!({})))).changes;
    assert_eq!(gone, [Change::SetPodLabels(name(), None)]);
}
