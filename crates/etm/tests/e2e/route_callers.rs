//! Each way in which a route chooses its callers, by their real sockets.

use std::collections::BTreeSet;

use etm_testkit::Protocol;
use etm_testkit::wait::until;
use serde_json::{Value, json};

use crate::balancing::crowd::{self, callers_of};
use crate::balancing::stage::{Stage, TARGET};
use crate::routing::{CALLERS, set_route, stage, to};

/// Every fifth has a label, every third a service account of its own.
fn declare(stage: &Stage, is_front: impl Fn(u32) -> bool) {
    let mut pods = crowd::manifests(CALLERS);
    for (number, pod) in (0..).zip(&mut pods) {
        if is_front(number) {
            pod["metadata"]["labels"] = json!({"tier": "front"});
        }
        if runs_as_loader(number) {
            pod["spec"]["serviceAccountName"] = json!("loader");
        }
    }
    stage.scene.manifests.apply("callers.yaml", &pods).expect("a manifest");
}

fn is_front(number: u32) -> bool {
    number.is_multiple_of(5)
}

fn runs_as_loader(number: u32) -> bool {
    number.is_multiple_of(3)
}

fn is_amber(number: u32) -> bool {
    crowd::namespace(number) == "amber"
}

fn names(is_one: impl Fn(u32) -> bool) -> BTreeSet<String> {
    (0..CALLERS).filter(|number| is_one(*number)).map(crowd::name).collect()
}

fn led_to_new(stage: &Stage) -> BTreeSet<String> {
    callers_of(&stage.crowd.found(TARGET), "web-1")
}

/// These callers go to the new version, and all others to the old one.
fn chosen(from: &Value) -> Value {
    json!([{"from": [from], "to": [to("2")]}, {"to": [to("1")]}])
}

/// Which of the crowd are chosen.
type Chosen = fn(u32) -> bool;

#[test]
fn each_selector_chooses_these_and_no_others() {
    let stage = stage(&json!([{"to": [to("1"), to("2")]}]));
    declare(&stage, is_front);
    let namespace = json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": "green", "labels": {"team": "plum"}},
    });
    let node = json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-a"},
        "status": {"addresses": [{"type": "InternalIP", "address": "10.99.0.7"}]},
    });
    stage.scene.manifests.apply("cluster.yaml", &[namespace, node]).expect("manifests");

    let front = json!({"matchLabels": {"tier": "front"}});
    let others = json!({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]});
    let (nobody, everybody): (Chosen, Chosen) = (|_| false, |_| true);
    let cases: [(Value, Chosen, bool); 10] = [
        (json!({"podSelector": front}), is_front, false),
        (json!({"podSelector": others}), |number| !is_front(number), false),
        (json!({"namespaceSelector": {"matchLabels": {"team": "plum"}}}), |n| !is_amber(n), false),
        (
            json!({"namespaces": ["amber"], "podSelector": front}),
            |number| is_amber(number) && is_front(number),
            false,
        ),
        (json!({"serviceAccounts": ["loader"]}), runs_as_loader, false),
        (
            json!({"serviceAccounts": ["loader"], "nodes": ["node-a"], "podSelector": front}),
            |number| runs_as_loader(number) && is_front(number),
            false,
        ),
        (json!({"nodes": ["node-a", "node-b"]}), everybody, true),
        (json!({"nodes": ["node-b"]}), nobody, false),
        (json!({"addressBlocks": ["10.99.0.0/16"]}), nobody, true),
        (json!({"addressBlocks": ["10.98.0.0/16", "fd99::/16"]}), nobody, false),
    ];
    // The last word is on processes of the node, which are of no Pod.
    for (from, is_chosen, node_is) in cases {
        set_route(&stage.scene, &chosen(&from));
        let expected = names(is_chosen);
        let of_node = if node_is { "web-1" } else { "web-0" };
        until(&format!("{from} leads to the new version whom it chooses"), || {
            let node = stage.node(Protocol::Tcp).call(TARGET).expect("a call");
            node.pod() == Some(of_node) && led_to_new(&stage) == expected
        });
    }
}

#[test]
fn whoever_gets_a_label_or_loses_it_is_led_elsewhere() {
    let stage = stage(&json!([{"to": [to("1"), to("2")]}]));
    declare(&stage, |_| false);
    let front = json!({"podSelector": {"matchLabels": {"tier": "front"}}});
    set_route(&stage.scene, &chosen(&front));
    declare(&stage, is_front);
    until("those with the label are led", || led_to_new(&stage) == names(is_front));
    declare(&stage, |number| number == 1);
    until("the label is of another one", || led_to_new(&stage) == names(|number| number == 1));
}
