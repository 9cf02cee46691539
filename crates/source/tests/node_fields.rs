//! Every field of a Node that is honoured, named after the field.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use etm_model::{Node, Problem};
use etm_source::convert;

fn convert(metadata: &str, rest: &str) -> (Node, Vec<Problem>) {
    let text = format!("metadata: {{name: a{metadata}}}\n{rest}");
    let converted = convert::node(&serde_saphyr::from_str(&text).unwrap());
    (converted.object.unwrap(), converted.problems)
}

fn node(metadata: &str, rest: &str) -> Node {
    let (node, problems) = convert(metadata, rest);
    assert_eq!(problems, []);
    node
}

#[test]
fn metadata_name() {
    assert_eq!(&*node("", "").name, "a");
    let nameless = convert::node(&serde_saphyr::from_str("metadata: {}").unwrap());
    assert_eq!((nameless.object, &*nameless.problems[0].field), (None, "metadata.name"));
}

#[test]
fn label_zone() {
    let zone = |labels: &str| node(&format!(", labels: {{{labels}}}"), "").zone;
    assert_eq!(zone("topology.kubernetes.io/zone: east").as_deref(), Some("east"));
    assert_eq!(zone("topology.kubernetes.io/zone: \"\""), None);
    assert_eq!(zone("topology.kubernetes.io/region: east"), None);
}

#[test]
fn status_addresses() {
    let addresses = "status: {addresses: [{type: InternalIP, address: 192.0.2.1}, \
                     {type: ExternalIP, address: \"2001:db8::1\"}, {type: Hostname, address: a}, \
                     {type: InternalDNS, address: a.example}, {type: InternalIP, address: 192.0.2.1}]}";
    let ips: Vec<_> = node("", addresses).addresses.iter().map(ToString::to_string).collect();
    assert_eq!(ips, ["192.0.2.1", "2001:db8::1"]);
    let bad = "status: {addresses: [{type: InternalIP, address: x}]}";
    let (node, problems) = convert("", bad);
    assert!(node.addresses.is_empty());
    assert_eq!(problems[0].field, "status.addresses[0].address");
}

#[test]
fn metadata_deletion_timestamp() {
    assert!(!node("", "").deleting);
    assert!(node(", deletionTimestamp: \"2026-01-01T00:00:00Z\"", "").deleting);
}

#[test]
fn spec_taints_to_be_deleted_by_cluster_autoscaler() {
    let tainted = |key: &str| {
        node("", &format!("spec: {{taints: [{{key: {key}, effect: NoSchedule}}]}}")).deleting
    };
    assert!(tainted("ToBeDeletedByClusterAutoscaler"));
    assert!(!tainted("node.kubernetes.io/not-ready"));
}

#[test]
fn spec_unschedulable_is_no_word_of_deletion() {
    assert!(!node("", "spec: {unschedulable: true}").deleting);
}
