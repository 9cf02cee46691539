use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn ready(status: &str) -> Option<ObservedNode> {
    let ready = Some((status.into(), "Kubelet".into()));
    Some(ObservedNode { ready, ..ObservedNode::default() })
}

/// Four nodes, each with a Lease of 40 s.
fn four(start: Instant) -> NodeSigns {
    let mut signs = NodeSigns::default();
    for name in ["a", "b", "c", "d"] {
        signs.set_node(name.into(), ready("True"));
        signs.set_lease(name.into(), Some(40 * SECOND), None, start);
    }
    signs
}

fn bad(signs: &NodeSigns, now: Instant) -> Vec<(String, &'static str)> {
    let verdict = signs.verdict(None, 50, &[], now);
    verdict.bad.into_iter().map(|bad| (bad.node.to_string(), bad.reason)).collect()
}

#[test]
fn each_sign_counts() {
    let start = Instant::now();
    let mut signs = four(start);
    assert_eq!(bad(&signs, start), []);
    signs.set_node("a".into(), ready("Unknown"));
    let taints = vec!["node.kubernetes.io/out-of-service".into()];
    signs.set_node("b".into(), Some(ObservedNode { taints, ..ObservedNode::default() }));
    assert_eq!(bad(&signs, start), [("a".to_owned(), "NotReady"), ("b".to_owned(), "Tainted")]);
    let taints = vec!["node.kubernetes.io/unschedulable".into()];
    signs.set_node("b".into(), Some(ObservedNode { taints, ..ObservedNode::default() }));
    signs.set_node("a".into(), ready("True"));
    assert_eq!(bad(&signs, start), []);
}

#[test]
fn a_lease_runs_out_by_this_clock() {
    let start = Instant::now();
    let mut signs = four(start);
    for name in ["a", "b", "c"] {
        signs.set_lease(name.into(), Some(40 * SECOND), None, start + 30 * SECOND);
    }
    let expiry = start + 40 * SECOND;
    assert_eq!(signs.next(None, start), Some(expiry));
    assert_eq!(bad(&signs, expiry - SECOND), []);
    assert_eq!(bad(&signs, expiry), [("d".to_owned(), "LeaseExpired")]);
    let short = Some(5 * SECOND);
    assert_eq!(signs.next(short, start), Some(start + 5 * SECOND));
    // What went unheard is no silence, but who was out stays so until he is heard.
    signs.interrupted(None, expiry);
    assert_eq!(bad(&signs, expiry + 39 * SECOND), [("d".to_owned(), "LeaseExpired")]);
    signs.set_lease("d".into(), Some(40 * SECOND), None, expiry);
    assert_eq!(bad(&signs, expiry), []);
    signs.set_lease("d".into(), None, None, expiry);
    assert_eq!(bad(&signs, expiry + 30 * SECOND), [], "without a Lease it is not known");
}

#[test]
fn of_more_than_so_many_none_is_ejected() {
    let start = Instant::now();
    let mut signs = four(start);
    for (name, too_many) in [("a", false), ("b", false), ("c", true), ("d", true)] {
        signs.set_node(name.into(), ready("False"));
        let verdict = signs.verdict(None, 50, &[], start);
        assert_eq!(verdict.too_many, too_many, "{name}");
        assert!(!signs.verdict(None, 100, &[], start).too_many);
    }
    // One node is all nodes, whatever else is wrong with it.
    let mut single = NodeSigns::default();
    single.set_node("a".into(), ready("False"));
    assert!(single.verdict(None, 50, &[], start).too_many);
}

#[test]
fn monitors_and_signs_of_one_node_are_one_node() {
    let start = Instant::now();
    let mut signs = four(start);
    signs.set_node("a".into(), ready("False"));
    let ejection = |node: &str, monitor: &str| Ejection {
        subject: Subject::Node(node.into()),
        monitor: monitor.into(),
        message: "bad".into(),
        since: Timestamp::UNIX_EPOCH,
    };
    let monitored = [ejection("a", "disk"), ejection("b", "disk"), ejection("gone", "disk")];
    let verdict = signs.verdict(None, 50, &monitored, start);
    assert_eq!((verdict.nodes, verdict.bad.len(), verdict.too_many), ((4, 2), 3, false));
}
