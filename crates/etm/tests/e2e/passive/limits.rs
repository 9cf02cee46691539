//! How many may be out, and what is left when all are.

use etm_abi::{BACKEND_AVAILABLE, BACKEND_EJECTED};
use etm_testkit::Pod;
use etm_testkit::wait::{until, until_logged};
use serde_json::json;

use super::{callers, calls, record, refused, set_policy};
use crate::scene::{Backend, PORT, Scene, VIP4};

/// `EHOSTUNREACH`.
const UNREACHABLE: Option<i32> = Some(113);

fn refusing(scene: &Scene, names: &[&str]) -> Vec<Pod> {
    scene.web(names).into_iter().map(Backend::refuse).collect()
}

fn ejected(scene: &Scene, pods: &[Pod]) -> usize {
    pods.iter().filter(|pod| record(scene, pod).state == BACKEND_EJECTED).count()
}

#[test]
fn at_most_half_is_out() {
    let scene = Scene::new();
    let pods = refusing(&scene, &["a", "b", "c", "d", "e"]);
    let agent = scene.start();
    assert_eq!(refused(&scene, &callers(&scene), (VIP4, PORT).into(), 100), 100);
    assert_eq!(ejected(&scene, &pods), 2);
    until_logged(&agent, &["not ejected"]);
}

#[test]
fn the_only_one_is_never_out() {
    let scene = Scene::new();
    let pods = refusing(&scene, &["a"]);
    let _agent = scene.start();
    assert_eq!(refused(&scene, &callers(&scene), (VIP4, PORT).into(), 30), 30);
    assert_eq!(record(&scene, &pods[0]).state, BACKEND_AVAILABLE);
}

#[test]
fn where_all_may_be_out_the_service_refuses_as_its_policy_says() {
    let scene = Scene::new();
    let pods = refusing(&scene, &["a", "b"]);
    let health = json!({"maxEjectedPercent": 100});
    set_policy(&scene, &json!({"health": health, "refusal": "HostUnreachable"}));
    let _agent = scene.start();
    let (callers, target) = (callers(&scene), (VIP4, PORT).into());
    let errnos = calls(&scene, &callers, target, 40);
    assert_eq!(ejected(&scene, &pods), 2);
    assert_eq!(errnos.last().map(|call| call.errno), Some(UNREACHABLE));
    let rows = scene.get("counters");
    let count = |name: &str| {
        let row = rows.iter().find(|row| row["counter"] == name);
        row.unwrap_or_else(|| panic!("no {name} in {rows:?}"))["calls"].as_u64().expect("a number")
    };
    assert!(count("connect-all-ejected") > 0, "{rows:?}");

    set_policy(&scene, &json!({"health": health, "refusal": "Anyway"}));
    until("it is sent anyway", || refused(&scene, &callers, target, 1) == 1);
    assert_eq!(ejected(&scene, &pods), 2);
}
