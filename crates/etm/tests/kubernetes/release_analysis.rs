//! What the agents' kernels tell of a release, and what follows.

use std::fs;
use std::net::SocketAddr;

use etm_outcomes::NAME;
use etm_testkit::certificate;
use serde_json::json;

use crate::conditions::condition_of;
use crate::scene::{Scene, addresses, free};
use etm_testkit::wait::{until, until_some};

fn release(scene: &Scene) {
    scene.create(
        "releases",
        json!({
            "apiVersion": "etm.dev/v1alpha1",
            "kind": "Release",
            "metadata": {"name": "two"},
            "spec": {
                "services": [{
                    "service": "web", "stable": {"service": "web-1"}, "new": {"service": "web-2"},
                }],
                "strategy": {"canary": {"steps": [{"weight": 50, "pause": {"duration": "1s"}}]}},
                "analysis": {
                    "interval": "500ms",
                    "connections": {"refusedShare": "5", "minimum": 50},
                },
            },
        }),
    );
}

#[test]
fn refusals_that_the_kernel_counts_roll_back() {
    let scene = Scene::controlled();
    let folder = scene.state.path().join("certificate");
    fs::create_dir(&folder).expect("a folder");
    certificate(&folder, NAME).expect("a certificate");
    let at: SocketAddr = free();
    let good = scene.backend("good");
    let bad = scene.node.pod("bad").expect("a Pod");
    scene.service("web");
    scene.slice("web-1", "web", &[good.pod.ipv4().into()]);
    scene.service("web-1");
    scene.slice("web-1-1", "web-1", &[good.pod.ipv4().into()]);
    // Nobody listens there: the address is called by itself, and refuses.
    let new = scene.service("web-2");
    scene.slice("web-2-1", "web-2", &[bad.ipv4().into()]);
    let (_client, caller) = scene.caller();
    let _agent = scene
        .agent_with(scene.cluster.kubeconfig())
        .arg("--outcomes")
        .arg(at.to_string())
        .arg("--outcomes-tls")
        .arg(&folder)
        .start()
        .expect("an agent");
    scene.until_members(new, Some(1));
    let controller = scene
        .controller(free())
        .arg("--outcomes-tls")
        .arg(&folder)
        .arg("--agents")
        .arg(at.to_string())
        .start()
        .expect("a controller");
    release(&scene);
    scene.until_phase("two", "Progressing", Some(0));
    let rolled_back = until_some("it rolls back", || {
        caller.calls(new, 20).expect("calls");
        let status = scene.status_of("two");
        (status["phase"] == "RolledBack").then_some(status)
    });
    let message = rolled_back["message"].as_str().expect("a message");
    assert!(message.starts_with("AnalysisFailed: "), "{message}");
    assert!(message.contains("connections refused, limit 5%"), "{message}");
    assert_eq!(rolled_back["traffic"], "Returned");
    drop(controller);
}

#[test]
fn a_controller_that_cannot_ask_the_agents_says_so_in_the_status() {
    let scene = Scene::controlled();
    scene.service("web");
    for version in ["web-1", "web-2"] {
        scene.service(version);
        scene.slice(&format!("{version}-1"), version, &addresses(1));
    }
    let _controller = scene.controller(free()).start().expect("a controller");
    release(&scene);
    until("it is told", || {
        condition_of(&scene, ("releases", "two"), "Healthy").is_some_and(|told| {
            let message = told["message"].as_str().expect("a message");
            message.contains("no certificate for the agents (--outcomes-tls)")
        })
    });
}
