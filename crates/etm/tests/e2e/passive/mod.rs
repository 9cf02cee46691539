//! Pods whose connections fail are left out, by what the kernel sees.

mod failures;
mod innocent;
mod limits;
mod mptcp;
mod outside;
mod probes;
mod replies;
mod shown;
mod silence;
mod syn;

use std::net::SocketAddr;

use etm_abi::{Backend as Record, Outcomes};
use etm_dataplane::View;
use etm_model::from_abi;
use etm_testkit::{Call, Pod, Protocol, objects};
use serde_json::{Value, json};

use crate::scene::{REFUSED, Scene};

/// Failures in a row that eject where nothing else is said.
const LIMIT: usize = 5;

/// The kernel's record of a Pod over TCP and IPv4.
fn record(scene: &Scene, pod: &Pod) -> Record {
    seen(scene, pod, etm_abi::PROTOCOL_TCP).0
}

/// The kernel's record of a Pod over a protocol and IPv4, and what became of what was sent there.
fn seen(scene: &Scene, pod: &Pod, protocol: u8) -> (Record, Outcomes) {
    let view = View::open(&scene.pin()).expect("maps");
    let contents = view.contents().expect("contents");
    let is_its = |(_, record): &(&u32, &Record)| {
        record.protocol == protocol && from_abi(&record.address) == pod.ipv4()
    };
    let (id, record) = contents.backends.iter().find(is_its).expect("a record");
    (*record, view.outcomes(*id).expect("outcomes"))
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
