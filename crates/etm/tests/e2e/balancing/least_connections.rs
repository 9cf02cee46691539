//! `leastConnections`: of two Pods the one with fewer open connections.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use etm_dataplane::View;
use etm_testkit::{Caller, Protocol, Session};
use serde_json::json;

use super::stage::{Stage, TARGET, declare_weighted};
use crate::scene::{PORT, VIP6};
use etm_testkit::wait::until;

pub(super) fn by_load(pods: usize) -> Stage {
    Stage::new(pods, 0, json!({"algorithm": "LeastConnections"}))
}

/// Sockets that stay open, and how many of them each Pod has.
#[derive(Default)]
pub(super) struct Open {
    pub(super) sessions: Vec<(Session, String)>,
}

impl Open {
    /// One more.
    pub(super) fn add(&mut self, caller: &Caller, target: SocketAddr) -> String {
        let mut session = caller.clone().keep_open().session(target).expect("a session");
        let call = session.call().expect("a call");
        let pod = call.pod().unwrap_or_else(|| panic!("{call:?}")).to_owned();
        self.sessions.push((session, pod.clone()));
        pod
    }

    /// By Pod.
    pub(super) fn counts(&self) -> BTreeMap<String, i64> {
        let mut counts = BTreeMap::new();
        for (_, pod) in &self.sessions {
            *counts.entry(pod.clone()).or_default() += 1;
        }
        counts
    }
}

/// What the kernel counts for each Pod that has any, over all of its addresses and ports.
pub(super) fn counted(stage: &Stage) -> BTreeMap<String, i64> {
    let view = View::open(&stage.scene.pin()).expect("maps");
    let mut counts = BTreeMap::new();
    for (id, name) in view.contents().expect("contents").backend_names {
        let count = view.connections(id).expect("a backend");
        if count != 0 {
            let pod = name.trim_start_matches("default/").to_owned();
            *counts.entry(pod).or_default() += count;
        }
    }
    counts
}

#[track_caller]
pub(super) fn until_counted(stage: &Stage, expected: &BTreeMap<String, i64>) {
    until(&format!("{expected:?} are counted"), || counted(stage) == *expected);
}

/// Every way to open a socket that is counted.
pub(super) fn ways(stage: &Stage) -> Vec<(Caller, SocketAddr)> {
    let tcp = stage.scene.caller(&stage.client, Protocol::Tcp);
    let udp = stage.scene.caller(&stage.client, Protocol::UdpConnected);
    let over6 = SocketAddr::new(VIP6, PORT);
    vec![
        (tcp.clone(), TARGET),
        (tcp.clone(), over6),
        (tcp.clone().mapped(), TARGET),
        (tcp.clone().mptcp(), TARGET),
        (tcp.mptcp(), over6),
        (udp.clone(), TARGET),
        (udp, over6),
    ]
}

#[test]
fn two_pods_are_even_at_every_moment() {
    let stage = by_load(2);
    let caller = stage.scene.caller(&stage.client, Protocol::Tcp);
    let mut open = Open::default();
    for _ in 0..15 {
        // Two Pods are always the two that are compared.
        let pods = [open.add(&caller, TARGET), open.add(&caller, TARGET)];
        assert_ne!(pods[0], pods[1]);
    }
    assert_eq!(counted(&stage), open.counts());
    drop(open);
    until_counted(&stage, &BTreeMap::new());
}

#[test]
fn of_three_pods_none_runs_ahead() {
    let stage = by_load(3);
    let caller = stage.scene.caller(&stage.client, Protocol::Tcp);
    let mut open = Open::default();
    for _ in 0..60 {
        open.add(&caller, TARGET);
        let mut counts: Vec<i64> = open.counts().into_values().collect();
        counts.sort_unstable();
        // The first gets one only when it is compared with one that has as many.
        if let [.., second, first] = counts[..] {
            assert!(first - second <= 1, "{counts:?}");
        }
    }
    // The last one is among the two drawn two times in three, and gets each of those. Less than 5
    // of 60 would come by chance once in 10^20 times.
    let least = open.counts().into_values().min();
    assert!(least >= Some(5), "{:?}", open.counts());
    assert_eq!(counted(&stage), open.counts());
}

#[test]
fn a_loaded_pod_is_passed_over() {
    let stage = by_load(1);
    let mut stage = stage;
    let caller = stage.scene.caller(&stage.client, Protocol::Tcp);
    let mut open = Open::default();
    for _ in 0..10 {
        assert_eq!(open.add(&caller, TARGET), "web-0");
    }
    for members in 2..=3 {
        let name = stage.another().pod.name().to_owned();
        stage.declare(&name, true, members);
    }
    for _ in 0..10 {
        assert_ne!(open.add(&caller, TARGET), "web-0", "{:?}", open.counts());
    }
    // And gets them again once it is free.
    open.sessions.retain(|(_, pod)| pod != "web-0");
    until_counted(&stage, &open.counts());
    assert!((0..60).any(|_| open.add(&caller, TARGET) == "web-0"));
}

#[test]
fn loads_are_weighed() {
    let balancing = json!({"algorithm": "LeastConnections", "weights": {"podAnnotation": true}});
    let stage = Stage::new(2, 0, balancing);
    declare_weighted(&stage.scene, &stage.backends[0].pod, "4");
    stage.until_balanced(|header| header.is_some_and(|header| header.weighted != 0));
    let caller = stage.scene.caller(&stage.client, Protocol::Tcp);
    let mut open = Open::default();
    for _ in 0..30 {
        open.add(&caller, TARGET);
    }
    let counts = open.counts();
    // Exact but for what is left of a round of five.
    assert!((23..=25).contains(&counts["web-0"]), "{counts:?}");
}

#[test]
fn every_kind_of_socket_is_counted_in_and_out() {
    let stage = by_load(2);
    for (caller, target) in ways(&stage) {
        let mut open = Open::default();
        for _ in 0..4 {
            open.add(&caller, target);
        }
        assert_eq!(counted(&stage), open.counts(), "{caller:?}");
        assert_eq!(open.counts().into_values().collect::<Vec<_>>(), [2, 2], "{caller:?}");
        // The processes are killed.
        drop(open);
        until_counted(&stage, &BTreeMap::new());
        // These close by themselves.
        let calls = caller.calls(target, 20).expect("calls");
        assert!(calls.iter().all(etm_testkit::Call::answered), "{calls:?}");
        until_counted(&stage, &BTreeMap::new());
    }
}
