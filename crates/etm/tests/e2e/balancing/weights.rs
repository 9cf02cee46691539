//! Weights: shares of connections, of callers, and of open sockets.
//!
//! How far chance may lead: of n draws with share p, the share found is t off with a probability
//! of at most 2 exp(-2 n t^2) (Hoeffding, "Probability Inequalities for Sums of Bounded Random
//! Variables", 1963). What a Pod has of the positions is less than 0.01 off its share.

use std::net::{IpAddr, SocketAddr};

use etm_testkit::{Caller, Protocol, objects};
use serde_json::{Value, json};

use super::crowd::{self, moved};
use super::stage::{Stage, TARGET, declare_weighted, set_policy};
use crate::scene::{POD_PORT, PORT, Scene, VIP6, web_pod};

const CALLS: usize = 2_500;
/// With [`CALLS`] draws, off by chance once in 10^10 times: 2 exp(-2 * 2500 * 0.07^2) = 5e-11.
const TOLERANCE: f64 = 0.08;

/// The share of calls that a Pod answers.
#[track_caller]
fn share(caller: &Caller, target: SocketAddr, pod: &str) -> f64 {
    let calls = caller.calls(target, CALLS).expect("calls");
    assert!(calls.iter().all(etm_testkit::Call::answered));
    calls.iter().filter(|call| call.pod() == Some(pod)).count() as f64 / CALLS as f64
}

#[track_caller]
fn is_about(share: f64, expected: f64) {
    assert!((share - expected).abs() < TOLERANCE, "{share} instead of {expected}");
}

fn annotated(algorithm: &str, callers: u32) -> Stage {
    let balancing = json!({"algorithm": algorithm, "weights": {"podAnnotation": true}});
    let stage = Stage::new(2, callers, balancing);
    declare_weighted(&stage.scene, &stage.backends[0].pod, "4");
    stage.until_balanced(|header| header.is_some_and(|header| header.weighted != 0));
    stage
}

#[test]
fn at_random_by_the_annotation_of_the_pods() {
    let stage = annotated("Random", 0);
    for target in [TARGET, SocketAddr::new(VIP6, PORT)] {
        for protocol in [Protocol::Tcp, Protocol::UdpConnected] {
            let caller = stage.scene.caller(&stage.client, protocol);
            is_about(share(&caller, target, "web-0"), 0.8);
        }
    }
    // Without the policy the annotation says nothing.
    stage.scene.manifests.remove("policy.yaml").expect("a manifest");
    stage.until_balanced(|header| header.is_none());
    is_about(share(&stage.scene.caller(&stage.client, Protocol::Tcp), TARGET, "web-0"), 0.5);
}

/// A Service that selects the Pods of a track.
fn track(name: &str, ip: &str) -> objects::Service {
    let ip: IpAddr = ip.parse().expect("an address");
    objects::Service::new(name, &[ip]).port("http", "TCP", PORT, POD_PORT).selector("track", name)
}

fn declare_tracks(scene: &Scene, stage: &Stage) {
    for (number, backend) in stage.backends.iter().enumerate() {
        let name = if number == 0 { "canary" } else { "stable" };
        let file = format!("pod-{}.yaml", backend.pod.name());
        let object = web_pod(&backend.pod).label("track", name);
        scene.manifests.apply(&file, &[object]).expect("a manifest");
    }
}

#[test]
fn at_random_by_the_services_that_select_the_pods() {
    let weights = |canary: u32, stable: u32| -> Value {
        let services =
            json!([{"name": "canary", "weight": canary}, {"name": "stable", "weight": stable}]);
        json!({"weights": {"services": services}})
    };
    let stage = Stage::prepared(
        2,
        0,
        |scene| {
            let tracks = [track("canary", "10.96.0.21"), track("stable", "10.96.0.22")];
            scene.manifests.apply("tracks.yaml", &tracks).expect("manifests");
            set_policy(scene, weights(1, 4));
        },
        |agent| agent,
    );
    declare_tracks(&stage.scene, &stage);
    let weighted = |ip: &str| {
        let ip: IpAddr = ip.parse().expect("an address");
        let contents = stage.contents();
        let key = super::stage::key(ip, PORT, etm_model::Protocol::Tcp);
        let frontend = contents.frontends.get(&key)?;
        contents.balances.get(&frontend.table).map(|balance| balance.header.weighted)
    };
    etm_testkit::wait::until("web is weighted", || weighted("10.96.0.10") == Some(1));
    assert_eq!(weighted("10.96.0.21"), None, "the Services themselves are left alone");
    let caller = stage.scene.caller(&stage.client, Protocol::Tcp);
    is_about(share(&caller, TARGET, "web-0"), 0.2);
    // Turned round while it runs.
    let table = stage.contents().frontends
        [&super::stage::key(TARGET.ip(), PORT, etm_model::Protocol::Tcp)]
        .table;
    set_policy(&stage.scene, weights(4, 1));
    etm_testkit::wait::until("another table", || {
        let key = super::stage::key(TARGET.ip(), PORT, etm_model::Protocol::Tcp);
        stage.contents().frontends[&key].table != table
    });
    is_about(share(&caller, TARGET, "web-0"), 0.8);
}

#[test]
fn callers_by_weight() {
    const CALLERS: u32 = 300;
    let stage = annotated("ConsistentHash", CALLERS);
    let found = stage.crowd.found(TARGET);
    let heavy = crowd::callers_of(&found, "web-0").len() as f64 / f64::from(CALLERS);
    // Names as draws: 0.2 off once in 10^9 times, 2 exp(-2 * 300 * 0.19^2) = 8e-10.
    assert!((heavy - 0.8).abs() < 0.2, "{heavy}");

    // Who weighs less loses callers, and nobody else moves.
    declare_weighted(&stage.scene, &stage.backends[0].pod, "2");
    let lighter = etm_testkit::wait::until_some("other shares", || {
        let now = stage.crowd.found(TARGET);
        (now != found).then_some(now)
    });
    let lost = moved(&found, &lighter);
    assert!(lost.iter().all(|caller| found[caller] == "web-0"), "{lost:?}");
    declare_weighted(&stage.scene, &stage.backends[0].pod, "4");
    etm_testkit::wait::until("they are back", || stage.crowd.found(TARGET) == found);
}
