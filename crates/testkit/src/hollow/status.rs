//! What a kubelet tells the API server of a Pod.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

use super::container::{Container, now};
use super::pod::Pod;
use crate::node::Node;

/// The reason of a Pod that could not be started here.
pub(super) const FAILED: &str = "HollowNode";

/// The status of a Pod, as a strategic merge patch: conditions that others set stay.
pub(super) fn of(pod: &mut Pod, node: &Node) -> Value {
    let running = pod.containers.iter().filter(|container| container.ended.is_none()).count();
    let ended = pod.containers.len() - running;
    let all_run = pod.waiting.is_empty() && ended == 0;
    let containers_ready = all_run && pod.ready;
    let ready = containers_ready && pod.gates_are_open();
    let phase = if !pod.waiting.is_empty() {
        "Pending"
    } else if running > 0 {
        "Running"
    } else if pod.containers.iter().all(|c| matches!(c.ended, Some((0, _)))) {
        "Succeeded"
    } else {
        "Failed"
    };
    let conditions = [
        ("PodReadyToStartContainers", running > 0 || !pod.waiting.is_empty()),
        ("Initialized", true),
        ("ContainersReady", containers_ready),
        ("Ready", ready),
    ]
    .map(|(kind, holds)| {
        let status = if holds { "True" } else { "False" };
        json!({"type": kind, "status": status, "lastTransitionTime": since(pod, kind, holds)})
    });
    let waiting = pod.waiting.iter().map(|spec| {
        json!({
            "name": spec.name,
            "image": spec.image,
            "imageID": "",
            "ready": false,
            "started": false,
            "restartCount": 0,
            "state": {"waiting": {"reason": "ContainerCreating"}},
        })
    });
    let started = pod.containers.iter().map(|container| of_container(container, pod.ready));
    let containers: Vec<Value> = started.chain(waiting).collect();
    let init: Vec<Value> = pod.init.iter().map(|c| of_container(c, true)).collect();
    json!({"status": {
        "phase": phase,
        "hostIP": node.ipv4(),
        "hostIPs": [{"ip": node.ipv4()}, {"ip": node.ipv6()}],
        "podIP": pod.addresses.first(),
        "podIPs": pod.addresses.iter().map(|ip| json!({"ip": ip})).collect::<Vec<_>>(),
        "startTime": pod.started,
        "conditions": conditions,
        "initContainerStatuses": init,
        "containerStatuses": containers,
    }})
}

/// The status of a Pod that could not be started, with the reason for whoever waits for it.
pub(super) fn of_failure(why: &str) -> Value {
    json!({"status": {"phase": "Pending", "reason": FAILED, "message": why}})
}

fn of_container(container: &Container, ready: bool) -> Value {
    let id = format!("containerd://{}", container.id);
    let started = &container.started;
    let (runs, state) = match &container.ended {
        None => (true, json!({"running": {"startedAt": started}})),
        Some((code, at)) => {
            let reason = if *code == 0 { "Completed" } else { "Error" };
            let end = json!({
                "exitCode": code,
                "reason": reason,
                "startedAt": started,
                "finishedAt": at,
                "containerID": id,
            });
            (false, json!({"terminated": end}))
        }
    };
    // A container that has done its work is ready as well, to those that wait for it.
    let done = matches!(container.ended, Some((0, _)));
    json!({
        "name": container.name,
        "image": container.image,
        "imageID": "",
        "containerID": id,
        "ready": (runs || done) && ready,
        "started": runs,
        "restartCount": container.restarts,
        "state": state,
    })
}

/// Since when a condition is as it is.
fn since(pod: &mut Pod, kind: &'static str, holds: bool) -> Time {
    let told = pod.conditions.entry(kind).or_insert_with(|| (holds, now()));
    if told.0 != holds {
        *told = (holds, now());
    }
    told.1.clone()
}
