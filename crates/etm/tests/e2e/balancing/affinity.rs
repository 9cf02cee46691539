//! `sessionAffinity: ClientIP`: a client, known by its address, stays with a Pod.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use etm_abi::Counter;
use etm_testkit::{AgentBuilder, Caller, Protocol, objects};
use serde_json::json;

use super::crowd::{callers_of, moved, pods};
use super::ejection::{eject, readmit};
use super::stage::{SECOND, Stage, TARGET, hash, service, set_policy, targets};
use crate::scene::{PORT, Scene, VIP4, VIP6};

/// So many that a client finds the same one again by chance once in twelve times, and in the 20
/// draws of [`CALLERS`] callers, or of as many calls, once in 10^21 times.
pub(super) const PODS: usize = 12;
pub(super) const CALLERS: u32 = 20;

const PROTOCOLS: [Protocol; 3] = [Protocol::Tcp, Protocol::UdpConnected, Protocol::UdpUnconnected];

/// The Service with `sessionAffinity`, for so many seconds; without them for the usual three hours.
pub(super) fn affine(seconds: Option<u32>) -> objects::Service {
    let service = service().set("spec.sessionAffinity", "ClientIP");
    match seconds {
        Some(seconds) => service
            .set("spec.sessionAffinityConfig", json!({"clientIP": {"timeoutSeconds": seconds}})),
        None => service,
    }
}

pub(super) fn apply(scene: &Scene, service: objects::Service) {
    scene.manifests.apply("web.yaml", &[service]).expect("a manifest");
}

pub(super) fn stage(
    callers: u32,
    seconds: Option<u32>,
    agent: impl FnOnce(AgentBuilder) -> AgentBuilder,
) -> Stage {
    Stage::prepared(PODS, callers, |scene| apply(scene, affine(seconds)), agent)
}

#[test]
fn a_client_stays_with_one_pod_at_each_address_and_port() {
    let stage = stage(CALLERS, None, |agent| agent);
    let mut all = BTreeSet::new();
    for target in targets() {
        let found = stage.crowd.found(target);
        assert!(pods(&found).len() > 1, "{found:?}");
        for way in [Caller::mptcp, |caller| caller] {
            assert_eq!(stage.crowd.found_by(target, Protocol::Tcp, way), found);
        }
        // Another protocol is another port of the Service.
        let over_udp = stage.crowd.found_by(target, Protocol::UdpConnected, |caller| caller);
        let again = stage.crowd.found_by(target, Protocol::UdpUnconnected, |caller| caller);
        assert_eq!(again, over_udp, "{target}");
        all.extend([found, over_udp]);
    }
    // Each family, port and protocol has entries of its own.
    assert_eq!(all.len(), 8);
    let mapped = stage.crowd.found_by(TARGET, Protocol::Tcp, Caller::mapped);
    assert_eq!(mapped, stage.crowd.found(TARGET));
    assert_eq!(stage.scene.counters()[&Counter::CallerUnknown], 0);
}

#[test]
fn the_addresses_of_one_service_share_what_a_client_was_given() {
    let external: IpAddr = "198.51.100.7".parse().expect("an address");
    let stage = stage(CALLERS, None, |agent| agent);
    apply(&stage.scene, affine(None).set("spec.externalIPs", vec![external.to_string()]));
    let key = super::stage::key(external, PORT, etm_model::Protocol::Tcp);
    etm_testkit::wait::until("the address is there", || {
        stage.contents().frontends.contains_key(&key)
    });
    let found = stage.crowd.found(TARGET);
    assert_eq!(stage.crowd.found(SocketAddr::new(external, PORT)), found);
}

#[test]
fn processes_of_the_node_are_one_client() {
    let stage = stage(0, None, |agent| agent);
    for target in targets() {
        for protocol in [Protocol::Tcp, Protocol::UdpConnected] {
            let calls = (0..CALLERS).map(|_| {
                let call = stage.node(protocol).call(target).expect("a call");
                call.pod().unwrap_or_else(|| panic!("{call:?}")).to_owned()
            });
            assert_eq!(calls.collect::<BTreeSet<_>>().len(), 1);
        }
    }
}

#[test]
fn a_caller_without_a_known_address_is_nobodys_client() {
    let stage = stage(CALLERS, None, |agent| agent);
    // Neither in a Pod's cgroup nor on the node.
    let stranger = stage.scene.caller(&stage.client, Protocol::Tcp);
    let calls = stranger.calls(TARGET, 20).expect("calls");
    assert!(calls.iter().map(|call| call.pod()).collect::<BTreeSet<_>>().len() > 1);
    assert_eq!(stage.scene.counters()[&Counter::CallerUnknown], 40, "asked for, and to remember");
    // Pods that have no address yet must not become one client.
    let mut callers = super::crowd::manifests(CALLERS);
    for caller in &mut callers {
        caller["status"] = json!({"phase": "Pending"});
    }
    stage.scene.manifests.apply("callers.yaml", &callers).expect("a manifest");
    let last = super::crowd::name(CALLERS - 1);
    etm_testkit::wait::until("their addresses are gone", || {
        let before = stage.scene.counters()[&Counter::CallerUnknown];
        stage.crowd.caller(&last, Protocol::Tcp).call(TARGET).expect("a call");
        stage.scene.counters()[&Counter::CallerUnknown] > before
    });
    let found = stage.crowd.found(TARGET);
    assert!(pods(&found).len() > 1, "{found:?}");
    assert!(!moved(&found, &stage.crowd.found(TARGET)).is_empty());
}

#[test]
fn clients_leave_a_pod_that_is_gone_and_do_not_return() {
    let stage = stage(CALLERS, None, |agent| agent);
    let before = stage.crowd.found(TARGET);
    let lost = before.values().next().expect("a Pod").clone();
    stage.declare(&lost, false, 11);
    let without = stage.crowd.found(TARGET);
    assert_eq!(moved(&before, &without), callers_of(&before, &lost));
    stage.declare(&lost, true, 12);
    assert_eq!(stage.crowd.found(TARGET), without);
}

#[test]
fn clients_leave_a_pod_that_is_out() {
    let mut stage = stage(CALLERS, None, |agent| agent);
    let before: Vec<_> = PROTOCOLS
        .iter()
        .map(|protocol| stage.crowd.found_by(TARGET, *protocol, |caller| caller))
        .collect();
    let out = before[0].values().next().expect("a Pod").clone();
    stage.stop();
    eject(&stage, &out);
    for (protocol, before) in PROTOCOLS.into_iter().zip(before) {
        let found = stage.crowd.found_by(TARGET, protocol, |caller| caller);
        // Over UDP the same client may have moved in the round before.
        let left = moved(&before, &found);
        assert!(left.is_subset(&callers_of(&before, &out)), "{left:?}");
        assert!(!pods(&found).contains(&*out));
    }
    let without = stage.crowd.found(TARGET);
    readmit(&stage, &out);
    assert_eq!(stage.crowd.found(TARGET), without);
}

#[test]
fn together_with_consistent_hashing_the_hash_gives_the_first_pod() {
    let stage = Stage::prepared(
        PODS,
        CALLERS,
        |scene| {
            apply(scene, affine(None));
            set_policy(scene, hash(&["callerPod"]));
        },
        |agent| agent,
    );
    let hashed = stage.crowd.found(TARGET);
    // The same one at every port and over each family, since the hash says so.
    for target in [SocketAddr::new(VIP4, SECOND), SocketAddr::new(VIP6, PORT)] {
        assert_eq!(stage.crowd.found(target), hashed);
    }
    let lost = hashed.values().next().expect("a Pod").clone();
    stage.declare(&lost, false, 11);
    let without = stage.crowd.found(TARGET);
    assert_eq!(moved(&hashed, &without), callers_of(&hashed, &lost));
    stage.declare(&lost, true, 12);
    // Clients stay where they are, as they would by affinity alone.
    assert_eq!(stage.crowd.found(TARGET), without);
    // At a port that they did not call meanwhile they were never elsewhere.
    let second: BTreeMap<_, _> = stage.crowd.found(SocketAddr::new(VIP4, SECOND));
    assert_eq!(second, hashed);
    apply(&stage.scene, service());
    stage.until_balanced(|header| header.is_some_and(|header| header.affinity == 0));
    assert_eq!(stage.crowd.found(TARGET), hashed, "by hash alone they return");
}
