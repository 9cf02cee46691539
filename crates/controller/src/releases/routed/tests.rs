use etm_api::{ReleaseStatus, Traffic};
use etm_model::{Action, Change, Destination, DestinationRef, RoutePort, Rule, route_conditions};

use serde_json::json;

use super::*;
use crate::releases::tests::release;

/// Services that releases are of, and those of their versions.
pub(in crate::releases) fn cluster() -> Snapshot {
    let mut snapshot = Snapshot::default();
    for of in ["web", "api"].into_iter().flat_map(|of| ["", "-1", "-2"].map(|v| format!("{of}{v}")))
    {
        let service = serde_json::from_value(json!({
            "metadata": {"namespace": "shop", "name": of},
            "spec": {"clusterIP": "10.96.0.1", "ports": [{"port": 80}]},
        }));
        let service = etm_source::convert::service(&service.unwrap()).object.unwrap();
        snapshot.change(Change::SetService(service.service));
    }
    snapshot
}

/// A release of these Services that has everyone at its step.
fn prepared(services: &[&str]) -> ObservedRelease {
    let mut release = release("one", 5, services);
    let spec = release.spec.clone().ok().map(Box::new);
    release.status =
        Ok(ReleaseStatus { traffic: Some(Traffic::Prepared), spec, ..ReleaseStatus::default() });
    release
}

fn set(kind: RouteKind, name: &str, routes: Vec<Route>) -> Change {
    Change::SetRoutes(RouteOwner { kind, name: ObjectName::new("shop", name) }, routes)
}

/// What is said of a release in a cluster with these changes.
fn judged(release: &ObservedRelease, changes: impl IntoIterator<Item = Change>) -> Routing {
    let mut snapshot = cluster();
    snapshot.change(set(RouteKind::Release, "one", release.routes()));
    for change in changes {
        snapshot.change(change);
    }
    Routed::new(&snapshot, &route_conditions(&snapshot)).routing(release)
}

fn fails(routing: &Routing) -> (&str, &str) {
    match routing {
        Routing::Fails { reason, message } => (reason, message),
        other => panic!("{other:?}"),
    }
}

/// A route of the first Service that refuses everyone.
fn denying(release: &ObservedRelease) -> Change {
    let rule = Rule {
        name: "".into(),
        field: "spec.rules[0]".into(),
        from: Vec::new(),
        share: None,
        action: Action::Deny,
    };
    let mut route = release.routes().remove(0);
    route.owner = RouteOwner { kind: RouteKind::TrafficRoute, ..route.owner };
    (route.rules, route.field) = (vec![rule], "spec".into());
    set(RouteKind::TrafficRoute, "one", vec![route])
}

#[test]
fn all_of_its_services_are_to_be_routed() {
    let release = prepared(&["web", "api"]);
    let counts = "counts for Service shop/web; counts for Service shop/api";
    assert_eq!(judged(&release, []), Routing::Counts(counts.to_owned()));
    let behind = judged(&release, [denying(&release)]);
    let (reason, message) = fails(&behind);
    assert_eq!(reason, "Conflicted");
    assert!(message.starts_with("spec.services[0]: TrafficRoute shop/one, which is of a kind"));
    let gone = judged(&release, [Change::RemoveService(ObjectName::new("shop", "api"))]);
    let (reason, message) = fails(&gone);
    assert_eq!(reason, "TargetNotFound");
    assert!(message.starts_with("spec.services[1]: there is no Service shop/api"), "{message}");
}

#[test]
fn what_was_said_of_other_routes_is_not_said_of_these() {
    let release = prepared(&["web"]);
    let other = set(RouteKind::Release, "one", prepared(&["web", "api"]).routes());
    assert_eq!(judged(&release, [other]), Routing::Unknown);
    assert_eq!(judged(&release, [set(RouteKind::Release, "one", Vec::new())]), Routing::Unknown);
}

#[test]
fn a_version_without_any_of_the_ports_leads_nowhere() {
    let release = prepared(&["web"]);
    let ports = |service: &str, ports: &[u16]| {
        let mut snapshot = cluster();
        let name = ObjectName::new("shop", service);
        let mut service = snapshot.services[&name].clone();
        let one = service.ports.remove(0);
        service.ports = ports
            .iter()
            .map(|port| etm_model::ServicePort {
                port: *port,
                name: format!("p{port}").into(),
                ..one.clone()
            })
            .collect();
        snapshot.change(Change::SetService(service.clone()));
        Change::SetService(service)
    };
    let none = judged(&release, [ports("web-2", &[90])]);
    let (reason, message) = fails(&none);
    assert_eq!(reason, "PortNotFound");
    assert!(message.starts_with("spec.services[0].new: Service shop/web-2 has no"), "{message}");
    // One of two is told of, and does not hinder.
    let changes = [ports("web", &[80, 81]), ports("web-1", &[80, 81]), ports("web-2", &[81])];
    match judged(&release, changes) {
        Routing::Counts(message) => {
            assert!(
                message.contains("shop/web-2 has no TCP port for calls to port 80"),
                "{message}"
            );
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn whoever_closes_a_loop_is_told() {
    let release = prepared(&["web"]);
    let mut back = release.routes().remove(0);
    back.owner = RouteOwner { kind: RouteKind::TrafficRoute, ..back.owner };
    back.target = ObjectName::new("shop", "web-2");
    back.created = Some(1);
    let to = Destination {
        field: "spec.rules[0].to[0]".into(),
        weight: 1,
        to: DestinationRef::Service {
            name: ObjectName::new("shop", "web"),
            port: RoutePort::Every,
        },
    };
    back.rules.truncate(1);
    back.rules[0].action = Action::Forward(vec![to]);
    let older = judged(&release, [set(RouteKind::TrafficRoute, "one", vec![back.clone()])]);
    assert_eq!(fails(&older).0, "Loop");
    back.created = Some(9);
    let younger = judged(&release, [set(RouteKind::TrafficRoute, "one", vec![back])]);
    assert!(matches!(younger, Routing::Counts(_)), "{younger:?}");
}
