//! `health`, `refusal` and `staleConnections`: what the API server refuses of them, what it fills in,
//! and that the agent takes what it stores.

use std::net::SocketAddr;

use etm_testkit::wait::until;
use serde_json::{Value, json};

use crate::policies::{policy, refusal};
use crate::scene::Scene;

/// What kubectl is told of a policy with these fields, where it is refused.
fn refused(scene: &Scene, fields: &Value) -> Option<String> {
    let mut spec = json!({"targetRef": {"name": "cart"}});
    for (field, value) in fields.as_object().expect("fields") {
        spec[field] = value.clone();
    }
    refusal(scene, &spec)
}

/// Refuses a `health`, and says all of this.
#[track_caller]
fn tells(scene: &Scene, health: &Value, told: &[&str]) {
    let fields = json!({"health": health});
    let error = refused(scene, &fields).unwrap_or_else(|| panic!("{fields} is taken"));
    assert!(told.iter().all(|part| error.contains(part)), "{fields}: {error}");
}

#[test]
fn the_api_server_refuses_nonsense_about_health() {
    let scene = Scene::policies();
    let passive = |fields: Value| json!({"passive": fields});
    let share = |fields: Value| json!({"passive": {"failureShare": fields}});
    let off = "set enabled: false";
    for (health, told) in [
        (passive(json!({"consecutiveFailures": 0})), &["passive.consecutiveFailures", off][..]),
        (passive(json!({"consecutiveFailures": 101})), &["less than or equal to 100"]),
        (passive(json!({"synRetransmits": 0})), &["synRetransmits", "greater than or equal to 1"]),
        (passive(json!({"synRetransmits": 7})), &["synRetransmits", "less than or equal to 6"]),
        (passive(json!({"enabled": "no"})), &["passive.enabled", "boolean"]),
        (share(json!({"percent": 0})), &["failureShare.percent", "before all of its", "set 100"]),
        (share(json!({"percent": 101})), &["failureShare.percent", "less than or equal to 100"]),
        (share(json!({"window": "999ms"})), &["failureShare.window", "window is 1s to 1h"]),
        (share(json!({"window": "61m"})), &["failureShare.window", "window is 1s to 1h"]),
        (share(json!({"minimumConnections": 0})), &["minimumConnections", "equal to 1"]),
        (json!({"ejectionTime": "0s"}), &["health.ejectionTime", "passive.enabled: false"]),
        (json!({"ejectionTime": "soon"}), &["health.ejectionTime", "should match"]),
        (json!({"ejectionTime": "1.5s"}), &["health.ejectionTime", "should match"]),
        (json!({"ejectionTime": "100000s"}), &["health.ejectionTime", "should match"]),
        (json!({"ejectionTime": 30}), &["health.ejectionTime", "string"]),
        (json!({"ejectionTime": "10m"}), &["health.maxEjectionTime", "raise maxEjectionTime"]),
        (json!({"maxEjectionTime": "25h"}), &["health.maxEjectionTime", "make it not ready"]),
        (json!({"maxEjectedPercent": 101}), &["maxEjectedPercent", "less than or equal to 100"]),
        (json!({"maxEjectedPercent": -1}), &["maxEjectedPercent", "greater than or equal to 0"]),
        (json!({"probation": {"interval": "0s"}}), &["probation.interval", "more than 0s"]),
        (json!({"probation": {"successes": 0}}), &["probation.successes", "equal to 1"]),
        (json!({"pasive": {}}), &["unknown field \"spec.health.pasive\""]),
    ] {
        tells(&scene, &health, told);
    }
    for (field, value) in [("refusal", json!("Never")), ("staleConnections", json!({"tcp": "No"}))]
    {
        let error = refused(&scene, &json!({field: value})).expect("a refusal");
        assert!(error.contains(&format!("spec.{field}")) && error.contains("supported"), "{error}");
    }
}

#[test]
fn the_api_server_refuses_probes_that_ask_nothing_or_too_much() {
    let scene = Scene::policies();
    let one = "keep one, or take probe away";
    let port = "port is a number from 1 to 65535 or the name of a port of the Service";
    for (probe, told) in [
        (json!({}), &["health.probe", one][..]),
        (json!({"tcp": null}), &["health.probe", one]),
        (json!({"tcp": {}, "http": {}}), &["health.probe", one]),
        (json!({"tcp": {}, "http": {}, "grpc": {}}), &["health.probe", one]),
        (json!({"tcp": {"port": 0}}), &["probe.tcp.port", port]),
        (json!({"http": {"port": 65536}}), &["probe.http.port", port]),
        (json!({"grpc": {"port": ""}}), &["probe.grpc.port", port]),
        (json!({"tcp": {"port": "p".repeat(64)}}), &["probe.tcp.port", port]),
        (json!({"http": {"path": "ready"}}), &["probe.http.path", "should match"]),
        (json!({"http": {"path": "/a b"}}), &["probe.http.path", "should match"]),
        (json!({"http": {"host": ""}}), &["probe.http.host", "at least 1 chars"]),
        (json!({"tcp": {}, "timeout": "11s"}), &["probe.timeout", "lower timeout"]),
        (json!({"tcp": {}, "timeout": "0s"}), &["probe.timeout", "more than 0s"]),
        (json!({"tcp": {}, "interval": "1ms"}), &["probe.interval", "interval is 1s to 24h"]),
        (json!({"tcp": {}, "healthyThreshold": 0}), &["healthyThreshold", "equal to 1"]),
        (json!({"tcp": {}, "unhealthyThreshold": 101}), &["unhealthyThreshold", "equal to 100"]),
    ] {
        tells(&scene, &json!({"probe": probe}), told);
    }
}

#[test]
fn what_makes_sense_is_taken() {
    let scene = Scene::policies();
    let whole = json!({
        "passive": {
            "enabled": true,
            "consecutiveFailures": 1,
            "failureShare": {"percent": 100, "window": "1m30s", "minimumConnections": 1},
            "synRetransmits": 6,
            "repliesExpected": true,
        },
        "ejectionTime": "1s",
        "maxEjectionTime": "24h",
        "maxEjectedPercent": 100,
        "probation": {"interval": "250ms", "successes": 100},
        "probe": {
            "http": {"path": "/ready?deep=1", "host": "cart.shop", "port": "http"},
            "interval": "5s", "timeout": "5s", "unhealthyThreshold": 1, "healthyThreshold": 1,
        },
    });
    for probe in [json!({"tcp": {}}), json!({"grpc": {"service": "cart", "port": 65535}})] {
        assert_eq!(refused(&scene, &json!({"health": {"probe": probe}})), None);
    }
    for name in ["ConnectionRefused", "HostUnreachable", "TimedOut", "PermissionDenied", "Anyway"] {
        let stale = json!({"tcp": "End", "udp": "Keep"});
        let fields = json!({"health": whole, "refusal": name, "staleConnections": stale});
        assert_eq!(refused(&scene, &fields), None);
    }
}

#[test]
fn defaults_of_health_are_filled_in_once_it_is_named() {
    let scene = Scene::policies();
    let mut named = policy("named", "cart", &json!({}));
    named["spec"]["health"] = json!({"probe": {"http": {}}});
    let made = scene.create("trafficpolicies", named);
    let expected = json!({
        "passive": {
            "enabled": true,
            "consecutiveFailures": 5,
            "failureShare": {"percent": 50, "window": "30s", "minimumConnections": 20},
            "synRetransmits": 1,
            "repliesExpected": false,
            "replyTimeout": "2s",
        },
        "ejectionTime": "30s",
        "maxEjectionTime": "300s",
        "maxEjectedPercent": 50,
        "probation": {"interval": "1s", "successes": 3},
        "probe": {
            "http": {"path": "/"},
            "interval": "10s", "timeout": "1s", "unhealthyThreshold": 3, "healthyThreshold": 2,
        },
    });
    assert_eq!(made["spec"]["health"], expected);
}

#[test]
fn the_agent_takes_the_refusal_of_a_stored_policy() {
    let scene = Scene::policies();
    let web = scene.service("web");
    let _agent = scene.agent().start().expect("an agent");
    scene.until_members(web, Some(0));
    let errno = |address: SocketAddr| Some(scene.frontend(address)?.errno);
    let mut calm = policy("calm", "web", &json!({}));
    for (name, expected) in [("TimedOut", 110), ("HostUnreachable", 113)] {
        calm["spec"]["refusal"] = json!(name);
        scene.apply(calm.clone());
        until(name, || errno(web) == Some(expected));
    }
    scene.delete("trafficpolicies", "calm");
    until("the default", || errno(web) == Some(111));
}
