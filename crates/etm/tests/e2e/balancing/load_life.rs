//! Counts of open sockets while sockets, Pods and agents come and go.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use etm_testkit::{Language, Protocol};
use serde_json::json;

use super::least_connections::{Open, by_load, counted, until_counted, ways};
use super::stage::{SECOND, Stage, TARGET, set_policy};
use crate::scene::{PORT, VIP6};
use etm_testkit::wait::until;

/// One of each kind.
fn open_all(stage: &Stage) -> Open {
    let mut open = Open::default();
    for (caller, target) in ways(stage) {
        open.add(&caller, target);
    }
    assert_eq!(counted(stage), open.counts());
    open
}

#[test]
fn counts_outlive_the_agent() {
    let mut stage = by_load(2);
    let open = open_all(&stage);
    stage.agent.take().expect("an agent").kill().expect("an end");
    assert_eq!(counted(&stage), open.counts());
    stage.agent = Some(stage.scene.start());
    assert_eq!(counted(&stage), open.counts());
    drop(open);
    until_counted(&stage, &BTreeMap::new());
}

#[test]
fn counts_are_right_in_maps_of_another_size() {
    let mut stage = by_load(2);
    let before = open_all(&stage);
    stage.stop();
    let agent = stage.scene.agent().arg("--max-backends=1000").start().expect("an agent");
    stage.agent = Some(agent);
    // Those from before are not known there; what is opened now is.
    let after = open_all_from_here(&stage);
    drop(before);
    until_closed(&stage);
    until_counted(&stage, &after.counts());
    drop(after);
    until_counted(&stage, &BTreeMap::new());
}

fn open_all_from_here(stage: &Stage) -> Open {
    let before = counted(stage);
    let mut open = Open::default();
    for (caller, target) in ways(stage) {
        open.add(&caller, target);
    }
    let added = counted(stage).values().sum::<i64>() - before.values().sum::<i64>();
    assert_eq!(added, open.sessions.len() as i64);
    open
}

/// Waits until the sockets of processes that ended are gone: one of the same network follows them.
fn until_closed(stage: &Stage) {
    let caller = stage.scene.caller(&stage.client, Protocol::Tcp);
    assert!(caller.call(TARGET).expect("a call").answered());
}

#[test]
fn a_socket_that_is_connected_once_more_counts_once() {
    let stage = by_load(3);
    for language in [Language::Std, Language::Tokio, Language::Python] {
        let caller = stage.scene.caller(&stage.client, Protocol::UdpConnected).language(language);
        let mut session = caller.reconnect().session(TARGET).expect("a session");
        for _ in 0..20 {
            let call = session.call().expect("a call");
            let pod = call.pod().unwrap_or_else(|| panic!("{call:?}")).to_owned();
            assert_eq!(counted(&stage), [(pod, 1)].into());
        }
        // To another port, which has backends of its own.
        let second = SocketAddr::new(TARGET.ip(), SECOND);
        let call = session.call_to(second).expect("a call");
        assert_eq!(counted(&stage), [(call.pod().expect("a Pod").to_owned(), 1)].into());
        drop(session);
        until_counted(&stage, &BTreeMap::new());
    }
}

#[test]
fn a_pod_that_goes_and_comes_back_at_once_keeps_its_count() {
    let stage = by_load(2);
    let open = open_all(&stage);
    stage.declare("web-0", false, 1);
    stage.declare("web-0", true, 2);
    assert_eq!(counted(&stage), open.counts());
    drop(open);
    until_counted(&stage, &BTreeMap::new());
}

#[test]
fn a_pod_that_comes_back_later_begins_at_nothing() {
    let stage = by_load(2);
    let old = open_all(&stage);
    stage.declare("web-0", false, 1);
    until("its records are cleared", || {
        !stage.contents().backend_names.values().any(|name| name == "default/web-0")
    });
    stage.declare("web-0", true, 2);
    let stayed: BTreeMap<_, _> =
        old.counts().into_iter().filter(|(pod, _)| pod != "web-0").collect();
    assert_eq!(counted(&stage), stayed);
    let new = open_all_from_here(&stage);
    let mut expected = new.counts();
    for (pod, count) in &stayed {
        *expected.entry(pod.clone()).or_default() += count;
    }
    assert_eq!(counted(&stage), expected);
    // The old sockets to the Pod that went are in no count any more.
    drop(old);
    until_counted(&stage, &new.counts());
    drop(new);
    until_counted(&stage, &BTreeMap::new());
}

#[test]
fn the_algorithm_is_switched_while_sockets_are_open() {
    let stage = by_load(2);
    let open = open_all(&stage);
    set_policy(&stage.scene, json!({"algorithm": "Random"}));
    stage.until_balanced(|header| header.is_none());
    // Not counted, and so not counted out either.
    let caller = stage.scene.caller(&stage.client, Protocol::Tcp);
    caller.calls(SocketAddr::new(VIP6, PORT), 20).expect("calls");
    assert_eq!(counted(&stage), open.counts());
    set_policy(&stage.scene, json!({"algorithm": "LeastConnections"}));
    stage.until_balanced(|header| header.is_some());
    drop(open);
    until_counted(&stage, &BTreeMap::new());
}

#[test]
fn clients_that_stay_by_their_address_are_counted_too() {
    let stage = Stage::prepared(
        2,
        0,
        |scene| {
            set_policy(scene, json!({"algorithm": "LeastConnections"}));
            let service = super::stage::service().set("spec.sessionAffinity", "ClientIP");
            scene.manifests.apply("web.yaml", &[service]).expect("a manifest");
        },
        |agent| agent,
    );
    let mut open = Open::default();
    let caller = stage.node(Protocol::Tcp);
    for _ in 0..6 {
        open.add(&caller, TARGET);
    }
    assert_eq!(open.counts().into_values().collect::<Vec<_>>(), [6]);
    assert_eq!(counted(&stage), open.counts());
    drop(open);
    until_counted(&stage, &BTreeMap::new());
}
