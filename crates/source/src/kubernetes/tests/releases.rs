use etm_api::UncheckedRelease;
use etm_model::{Change, RouteKind, RouteOwner};
use kube::runtime::watcher::Event;
use serde_json::{Value, from_value, json};

use super::policies::take;
use crate::kubernetes::{releases::Releases, table::Table};

fn spec() -> Value {
    json!({
        "services": [
            {"service": "web", "stable": {"service": "web-1"}, "new": {"service": "web-2"}},
            {"service": "api", "stable": {"labels": {"v": "1"}}, "new": {"labels": {"v": "2"}}},
        ],
        "strategy": {"canary": {"steps": [{"weight": 5}, {"percent": 50}]}},
    })
}

fn release(version: u32, status: &Value) -> UncheckedRelease {
    from_value(json!({
        "metadata": {
            "namespace": "shop", "name": "two", "uid": "two",
            "resourceVersion": version.to_string(),
        },
        "spec": spec(),
        "status": status,
    }))
    .unwrap()
}

#[test]
fn what_is_routed_is_told_when_it_is_another() {
    let mut table = Table::<Releases>::new(None);
    let mut apply =
        |version, status: Value| take(&mut table, Event::Apply(release(version, &status))).changes;
    let owner =
        || RouteOwner { kind: RouteKind::Release, name: etm_model::ObjectName::new("shop", "two") };
    let rules = |changes: &[Change]| match changes {
        [Change::SetRoutes(of, routes)] if *of == owner() => {
            routes.iter().map(|route| route.rules.len()).collect::<Vec<_>>()
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(apply(1, json!({})), []);
    assert_eq!(apply(2, json!({"phase": "Pending", "message": "waits"})), []);
    let at = |step: i32, message: &str| {
        json!({
            "phase": "Progressing", "traffic": "Step", "step": step, "message": message,
            "spec": spec(),
        })
    };
    assert_eq!(rules(&apply(3, at(0, "a"))), [3, 3]);
    assert_eq!(apply(4, at(0, "other words")), [], "most writes change nothing of it");
    assert_eq!(rules(&apply(5, at(1, "a"))), [4, 4]);
    // A status that cannot be read: as before.
    assert_eq!(apply(6, json!({"traffic": "Sideways"})), []);
    assert_eq!(
        rules(&apply(7, json!({"phase": "Completed", "traffic": "New", "spec": spec()}))),
        [1, 1]
    );
    let gone = take(&mut table, Event::Delete(release(8, &json!({}))));
    assert_eq!(gone.changes, [Change::SetRoutes(owner(), Vec::new())]);
}
