//! Pods whose connections fail are left out, by what the kernel sees.

mod failures;
mod innocent;
mod limits;
mod outside;
mod probes;
mod shown;

use std::net::SocketAddr;

use etm_abi::Backend as Record;
use etm_dataplane::View;
use etm_model::from_abi;
use etm_testkit::{Call, Pod, Protocol, objects};
use serde_json::{Value, json};

use crate::scene::{REFUSED, Scene};

/// Failures in a row that eject where nothing else is said.
const LIMIT: usize = 5;

/// The kernel's record of a Pod over TCP and IPv4.
fn record(scene: &Scene, pod: &Pod) -> Record {
    let contents = View::open(&scene.pin()).expect("maps").contents().expect("contents");
    let is_its = |record: &&Record| {
        record.protocol == etm_abi::PROTOCOL_TCP && from_abi(&record.address) == pod.ipv4()
    };
    *contents.backends.values().find(is_its).expect("a record")
}

/// Calls from each Pod in turn.
fn calls(scene: &Scene, callers: &[Pod], target: SocketAddr, count: usize) -> Vec<Call> {
    let call = |at: usize| {
        let caller = scene.caller(&callers[at % callers.len()], Protocol::Tcp);
        caller.call(target).expect("a call")
    };
    (0..count).map(call).collect()
}

/// How many of such calls were refused.
fn refused(scene: &Scene, callers: &[Pod], target: SocketAddr, count: usize) -> usize {
    calls(scene, callers, target, count).into_iter().filter(|call| call.errno == REFUSED).count()
}

fn callers(scene: &Scene) -> Vec<Pod> {
    ["one", "two"].map(|name| scene.node.pod(name).expect("a Pod")).into()
}

/// Writes a policy of `web` with further fields of its spec.
fn set_policy(scene: &Scene, fields: &Value) {
    let mut policy: Value = objects::TrafficPolicy::new("web", json!({})).into();
    for (field, value) in fields.as_object().expect("fields") {
        policy["spec"][field] = value.clone();
    }
    scene.manifests.apply("policy.yaml", &[policy]).expect("a manifest");
}
