use std::sync::Arc;

use etm_model::{Change, ObjectName, RouteKind, Snapshot, route_conditions};
use etm_source::convert::gateway_route;
use kube::api::DynamicObject;
use serde_json::from_value;

use super::*;

fn object(parents: &[Value], status: &Value) -> DynamicObject {
    let object = json!({
        "metadata": {"namespace": "shop", "name": "split", "resourceVersion": "1", "generation": 3},
        "spec": {
            "parentRefs": parents,
            "rules": [{"backendRefs": [{"name": "cart", "port": 80}]}],
        },
        "status": status,
    });
    from_value(object).expect("an object")
}

fn service(name: &str) -> Value {
    json!({"group": "", "kind": "Service", "name": name})
}

/// A controller that has heard of one TCPRoute, and nothing of Services.
fn routes(parents: &[Value], status: &Value) -> Routes {
    let route =
        gateway_route(RouteKind::TcpRoute, &object(parents, status)).object.expect("a route");
    let owner = RouteOwner { kind: RouteKind::TcpRoute, name: ObjectName::new("shop", "split") };
    let observed = ObservedRoute {
        owner: owner.clone(),
        api_version: "gateway.networking.k8s.io/v1".to_owned(),
        version: "1".to_owned(),
        generation: Some(3),
        status: status.clone(),
        said: Said::Gateway(route.clone()),
    };
    let mut snapshot = Snapshot::default();
    snapshot.change(Change::SetRoutes(owner.clone(), route.routes));
    let mut routes = Routes::default();
    routes.update(vec![(owner, Some(observed))], &route_conditions(&snapshot));
    routes
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

fn written(routes: &Routes, second: i64) -> Option<Vec<Value>> {
    let write = routes.next(at(second))?;
    Some(write.status["parents"].as_array().expect("parents").clone())
}

#[test]
fn each_service_has_an_entry_and_no_gateway_has_one() {
    let gateway = json!({"name": "outer"});
    let parents = written(&routes(&[service("cart"), gateway, service("web")], &json!({})), 100);
    let parents = parents.expect("a write");
    assert_eq!(parents.len(), 2);
    for (entry, name) in parents.iter().zip(["cart", "web"]) {
        assert_eq!(entry["parentRef"], service(name));
        assert_eq!(entry["controllerName"], "etm.dev/controller");
        let conditions = entry["conditions"].as_array().expect("conditions");
        let told: Vec<_> = conditions
            .iter()
            .map(|one| (one["type"].clone(), one["status"].clone(), one["reason"].clone()))
            .collect();
        assert_eq!(told[0], (json!("Accepted"), json!("False"), json!("NoMatchingParent")));
        assert_eq!(told[1].0, "ResolvedRefs");
        assert_eq!(conditions[0]["observedGeneration"], 3);
    }
}

#[test]
fn entries_of_others_stay_in_their_places() {
    let other = json!({
        "parentRef": service("cart"),
        "controllerName": "example.com/mesh",
        "conditions": [{"type": "Accepted", "status": "True"}],
    });
    let stale = json!({
        "parentRef": service("gone"),
        "controllerName": "etm.dev/controller",
        "conditions": [],
    });
    let status = json!({"parents": [stale, other]});
    let parents = written(&routes(&[service("cart")], &status), 100).expect("a write");
    assert_eq!(parents[0], other);
    assert_eq!((parents.len(), &parents[1]["parentRef"]), (2, &service("cart")));

    // What is so already is not written, wherever others put theirs.
    let reversed = json!({"parents": [parents[1], parents[0]]});
    assert_eq!(written(&routes(&[service("cart")], &reversed), 200), None);
}

#[test]
fn the_time_changes_with_the_status_alone() {
    let first = written(&routes(&[service("cart")], &json!({})), 100).expect("a write");
    let mut status = json!({"parents": first});
    status["parents"][0]["conditions"][0]["message"] = json!("said otherwise");
    let second = written(&routes(&[service("cart")], &status), 200).expect("a write");
    assert_eq!(second, first);
    status["parents"][0]["conditions"][0]["status"] = json!("True");
    let third = written(&routes(&[service("cart")], &status), 300).expect("a write");
    assert_eq!(third[0]["conditions"][0]["lastTransitionTime"], "1970-01-01T00:05:00Z");
}

#[test]
fn a_route_without_a_service_is_left_alone_and_loses_what_was_said_of_it() {
    let gateway = json!({"name": "outer"});
    assert_eq!(written(&routes(std::slice::from_ref(&gateway), &json!({})), 100), None);
    let before = written(&routes(&[service("cart")], &json!({})), 100).expect("a write");
    let status = json!({"parents": before});
    assert_eq!(written(&routes(&[gateway], &status), 200), Some(Vec::new()));
}

#[test]
fn each_version_is_written_to_once() {
    let mut routes = routes(&[service("cart")], &json!({}));
    let write = routes.next(at(100)).expect("a write");
    let problem = || Problem {
        object: String::new(),
        field: String::new(),
        reason: String::new(),
        hint: String::new(),
    };
    routes.note(&write, &Outcome::Failed(problem()));
    assert_eq!(routes.next(at(100)), Some(write.clone()), "what failed is tried again");
    routes.note(&write, &Outcome::Refused(problem()));
    assert_eq!((routes.next(at(200)), routes.problems().count()), (None, 1));
    routes.note(&write, &Outcome::Written);
    assert_eq!((routes.next(at(200)), routes.problems().count()), (None, 0));
}

fn own(said: Result<Vec<etm_model::Route>, Vec<Problem>>) -> Routes {
    let owner = RouteOwner { kind: RouteKind::TrafficRoute, name: ObjectName::new("shop", "r") };
    let mut snapshot = Snapshot::default();
    if let Ok(routes) = &said {
        snapshot.change(Change::SetRoutes(owner.clone(), routes.clone()));
    }
    let observed = ObservedRoute {
        owner: owner.clone(),
        api_version: "etm.dev/v1alpha1".to_owned(),
        version: "1".to_owned(),
        generation: Some(1),
        status: Value::Null,
        said: Said::Own(said),
    };
    let mut routes = Routes::default();
    routes.update(vec![(owner, Some(observed))], &route_conditions(&snapshot));
    routes
}

#[test]
fn one_of_etms_own_that_makes_no_sense_says_why() {
    let problem = Problem {
        object: "TrafficRoute shop/r".to_owned(),
        field: "spec.rules".to_owned(),
        reason: "is empty".to_owned(),
        hint: "add one".to_owned(),
    };
    let write = own(Err(vec![problem])).next(at(1)).expect("a write");
    let conditions = write.status["conditions"].as_array().expect("conditions");
    assert_eq!(conditions.len(), 1);
    assert_eq!(conditions[0]["reason"], "Invalid");
    assert_eq!(conditions[0]["message"], "spec.rules is empty (add one)");
}

#[test]
fn one_of_etms_own_has_both_conditions() {
    let name = |name| ObjectName::new("shop", name);
    let route = etm_model::Route {
        owner: RouteOwner { kind: RouteKind::TrafficRoute, name: name("r") },
        created: None,
        field: Arc::from("spec.targetRef"),
        target: name("cart"),
        port: etm_model::RoutePort::Every,
        protocol: None,
        consumers: None,
        rules: Vec::new(),
        abandons: None,
    };
    let write = own(Ok(vec![route])).next(at(1)).expect("a write");
    let conditions = write.status["conditions"].as_array().expect("conditions");
    let told: Vec<_> = conditions.iter().map(|one| (&one["type"], &one["reason"])).collect();
    assert_eq!(told[0], (&json!("Accepted"), &json!("TargetNotFound")));
    assert_eq!(told[1].0, "ResolvedRefs");
    assert_eq!(write.status["observedGeneration"], 1);
}
