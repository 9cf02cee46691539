//! Consistent hashing by each field: what is alike in all of a policy's fields goes together.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use etm_abi::Counter;
use etm_testkit::{Caller, Protocol};
use serde_json::Value;

use super::crowd::{self, Crowd, pods};
use super::stage::{SECOND, Stage, TARGET, hash, targets};
use crate::scene::{PORT, VIP4, VIP6};

const PODS: usize = 6;
const CALLERS: u32 = 12;

const PROTOCOLS: [Protocol; 3] = [Protocol::Tcp, Protocol::UdpConnected, Protocol::UdpUnconnected];

fn stage(fields: &[&str]) -> Stage {
    Stage::new(PODS, CALLERS, hash(fields))
}

/// What one caller gets from some calls, each on a socket of its own.
fn spread(caller: &Caller, calls: usize) -> BTreeSet<String> {
    let calls = (0..calls).map(|_| caller.call(TARGET).expect("a call"));
    calls.map(|call| call.pod().expect("a Pod").to_owned()).collect()
}

/// Six Pods, of which 40 draws at random find at least two but for once in 10^31 times.
const DRAWS: usize = 40;

#[test]
fn caller_address() {
    let stage = stage(&["callerAddress"]);
    let found = stage.crowd.found(TARGET);
    assert!(pods(&found).len() > 1, "{found:?}");
    for protocol in PROTOCOLS {
        for port in [PORT, SECOND] {
            let target = SocketAddr::new(VIP4, port);
            assert_eq!(stage.crowd.found_by(target, protocol, |caller| caller), found);
        }
    }
    // The address of the other family is another one.
    let over6 =
        |protocol| stage.crowd.found_by(SocketAddr::new(VIP6, PORT), protocol, |caller| caller);
    assert_eq!(over6(Protocol::UdpConnected), over6(Protocol::Tcp));
    assert_ne!(over6(Protocol::Tcp), found);

    // Whoever has an address now has the Pod of whoever had it before.
    let mut pods: Vec<Value> = crowd::manifests(CALLERS);
    let mut statuses: Vec<Value> = pods.iter().map(|pod| pod["status"].clone()).collect();
    statuses.rotate_left(1);
    for (pod, status) in pods.iter_mut().zip(statuses) {
        pod["status"] = status;
    }
    stage.scene.manifests.apply("callers.yaml", &pods).expect("a manifest");
    let names: Vec<&str> = stage.crowd.names().collect();
    let turned: BTreeMap<String, String> = (0..names.len())
        .map(|at| (names[at].to_owned(), found[names[(at + 1) % names.len()]].clone()))
        .collect();
    etm_testkit::wait::until("the callers have turned", || stage.crowd.found(TARGET) == turned);
}

#[test]
fn a_caller_without_an_address_is_not_known_by_it() {
    let stage = stage(&["callerAddress"]);
    let mut pods: Vec<Value> = crowd::manifests(CALLERS);
    pods[0]["status"] = serde_json::json!({"phase": "Pending"});
    stage.scene.manifests.apply("callers.yaml", &pods).expect("a manifest");
    let name = crowd::name(0);
    let caller = stage.crowd.caller(&name, Protocol::Tcp);
    let unknown = || stage.scene.counters()[&Counter::CallerUnknown];
    etm_testkit::wait::until("its address is gone", || {
        let before = unknown();
        caller.call(TARGET).expect("a call");
        unknown() > before
    });
    assert!(spread(&caller, DRAWS).len() > 1);
}

#[test]
fn caller_namespace() {
    let stage = stage(&["callerNamespace"]);
    let found = stage.crowd.found(TARGET);
    let of = |namespace| -> BTreeSet<&str> {
        let numbers = (0..CALLERS).filter(|number| crowd::namespace(*number) == namespace);
        numbers.map(|number| found[&crowd::name(number)].as_str()).collect()
    };
    let (green, amber) = (of("green"), of("amber"));
    assert_eq!((green.len(), amber.len()), (1, 1), "Pods of one namespace go together: {found:?}");
    assert_ne!(green, amber);
    for protocol in PROTOCOLS {
        for target in targets() {
            assert_eq!(stage.crowd.found_by(target, protocol, |caller| caller), found);
        }
    }
}

/// The Pods that everyone finds at a port and over a protocol.
fn everyone(stage: &Stage, port: u16, protocol: Protocol) -> BTreeSet<String> {
    let found = stage.crowd.found_by(SocketAddr::new(VIP4, port), protocol, |caller| caller);
    found.into_values().collect()
}

#[test]
fn service_port() {
    let stage = stage(&["servicePort"]);
    let (first, second) =
        (everyone(&stage, PORT, Protocol::Tcp), everyone(&stage, SECOND, Protocol::Tcp));
    assert_eq!((first.len(), second.len()), (1, 1), "{first:?} {second:?}");
    assert_ne!(first, second);
    assert_eq!(everyone(&stage, PORT, Protocol::UdpConnected), first);
    assert_eq!(everyone(&stage, SECOND, Protocol::UdpUnconnected), second);
}

#[test]
fn protocol() {
    let stage = stage(&["protocol"]);
    let (tcp, udp) =
        (everyone(&stage, PORT, Protocol::Tcp), everyone(&stage, PORT, Protocol::UdpConnected));
    assert_eq!((tcp.len(), udp.len()), (1, 1), "{tcp:?} {udp:?}");
    assert_ne!(tcp, udp);
    assert_eq!(everyone(&stage, SECOND, Protocol::Tcp), tcp);
    assert_eq!(everyone(&stage, SECOND, Protocol::UdpUnconnected), udp);
    let mptcp = stage.crowd.found_by(TARGET, Protocol::Tcp, Caller::mptcp);
    assert_eq!(mptcp.into_values().collect::<BTreeSet<_>>(), tcp);
}

#[test]
fn several_fields_at_once() {
    let stage = stage(&["callerPod", "servicePort", "protocol"]);
    let found = |port, protocol| {
        stage.crowd.found_by(SocketAddr::new(VIP4, port), protocol, |caller| caller)
    };
    let tcp = found(PORT, Protocol::Tcp);
    assert_eq!(found(PORT, Protocol::Tcp), tcp);
    assert_ne!(found(SECOND, Protocol::Tcp), tcp);
    assert_ne!(found(PORT, Protocol::UdpConnected), tcp);
    assert_eq!(found(PORT, Protocol::UdpConnected), found(PORT, Protocol::UdpUnconnected));
}

#[test]
fn caller_port() {
    let stage = stage(&["callerPort"]);
    let name = crowd::name(0);
    let bound = |number, port, protocol, target| {
        let caller = stage.crowd.caller(&crowd::name(number), protocol).local_port(port);
        let call = caller.call(target).expect("a call");
        assert_eq!(call.local.map(|local| local.port()), Some(port), "{call:?}");
        call.pod().expect("a Pod").to_owned()
    };
    let ports: BTreeMap<u16, String> = (40_000..40_020)
        .map(|port| (port, bound(0, port, Protocol::UdpConnected, TARGET)))
        .collect();
    let different: BTreeSet<&String> = ports.values().collect();
    assert!(different.len() > 1, "{ports:?}");
    for (port, pod) in ports.iter().take(6) {
        for target in targets() {
            // Whoever calls, and to whatever address: the port alone counts.
            assert_eq!(bound(1, *port, Protocol::Tcp, target), *pod);
            assert_eq!(bound(2, *port, Protocol::UdpConnected, target), *pod);
            assert_eq!(bound(3, *port, Protocol::UdpUnconnected, target), *pod);
        }
    }
    // The kernel draws the port of a socket that is not bound only once it knows the peer.
    let free = stage.crowd.caller(&name, Protocol::Tcp);
    assert!(spread(&free, DRAWS).len() > 1);
    assert!(spread(&stage.crowd.caller(&name, Protocol::UdpConnected), DRAWS).len() > 1);
}

#[test]
fn the_node_is_a_caller_as_well() {
    for fields in [&["callerPod"], &["callerAddress"], &["callerNamespace"]] {
        let stage = stage(fields);
        for target in targets() {
            let pods: BTreeSet<_> = PROTOCOLS
                .into_iter()
                .flat_map(|protocol| {
                    (0..5).map(move |_| protocol).map(|protocol| {
                        let call = stage.node(protocol).call(target).expect("a call");
                        call.pod().expect("a Pod").to_owned()
                    })
                })
                .collect();
            assert_eq!(pods.len(), 1, "{fields:?} to {target}: {pods:?}");
        }
        assert_eq!(stage.scene.counters()[&Counter::CallerUnknown], 0);
    }
}

#[test]
fn a_caller_that_nobody_knows_is_spread_and_counted() {
    let stage = stage(&["callerPod"]);
    let stranger = stage.scene.caller(&stage.client, Protocol::Tcp);
    assert!(spread(&stranger, DRAWS).len() > 1);
    assert_eq!(stage.scene.counters()[&Counter::CallerUnknown], DRAWS as u64);
}

#[test]
fn a_pod_that_is_told_of_late_is_spread_until_then() {
    let stage = Stage::prepared(
        PODS,
        0,
        |scene| super::stage::set_policy(scene, hash(&["callerPod"])),
        |agent| agent,
    );
    let cgroup = stage.scene.cgroup.child("late").expect("a cgroup");
    let crowd = Crowd::new(&cgroup, &stage.client, 1);
    let caller = crowd.caller(&crowd::name(0), Protocol::Tcp);
    assert!(spread(&caller, DRAWS).len() > 1);
    crowd::declare(&stage.scene, 1);
    crowd.until_known(&stage.scene.pin());
    assert_eq!(spread(&caller, DRAWS).len(), 1);
}
