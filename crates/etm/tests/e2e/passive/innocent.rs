//! What takes a Pod from nobody, or from one caller alone.

use std::time::Duration;

use etm_abi::{BACKEND_AVAILABLE, BACKEND_EJECTED};
use etm_testkit::Protocol;

use super::{LIMIT, callers, record, refused};
use crate::scene::{POD_PORT, PORT, Scene, VIP4};

#[test]
fn a_caller_that_fails_alone_takes_it_from_nobody_else() {
    let scene = Scene::new();
    let mut backends = scene.web(&["a", "b", "c", "d"]);
    let _agent = scene.start();
    let pod = backends.pop().expect("a Pod").refuse();
    let [one, two] = ["one", "two"].map(|name| [scene.node.pod(name).expect("a Pod")]);
    let target = (VIP4, PORT).into();
    assert_eq!(refused(&scene, &one, target, 100), LIMIT);
    let after = record(&scene, &pod);
    assert_eq!((after.state, after.shunned), (BACKEND_AVAILABLE, 1));
    // The first failure of another one makes it a failure of several.
    assert_eq!(refused(&scene, &two, target, 100), 1);
    assert_eq!(record(&scene, &pod).state, BACKEND_EJECTED);
}

#[test]
fn connections_to_the_pod_itself_do_not_count() {
    let scene = Scene::new();
    let mut backends = scene.web(&["a", "b"]);
    let _agent = scene.start();
    let pod = backends.pop().expect("a Pod").refuse();
    let target = (pod.ipv4(), POD_PORT).into();
    assert_eq!(refused(&scene, &callers(&scene), target, 20), 20);
    assert_eq!(record(&scene, &pod).failures, 0);
}

#[test]
fn what_a_client_gives_up_itself_does_not_count() {
    let scene = Scene::new();
    let backends = scene.web(&["a"]);
    let _agent = scene.start();
    let pod = &backends[0].pod;
    super::failures::drop_all(pod);
    for client in callers(&scene) {
        let caller = scene.caller(&client, Protocol::Tcp).timeout(Duration::from_millis(100));
        for call in caller.calls((VIP4, PORT).into(), 10).expect("calls") {
            assert!(call.error.is_some(), "{call:?}");
        }
    }
    assert_eq!(record(&scene, pod).failures, 0);
}
