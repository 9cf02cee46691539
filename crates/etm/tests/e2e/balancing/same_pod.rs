//! Consistent hashing: one caller, one Pod, whatever way it calls and whatever agent tells it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use etm_dataplane::View;
use etm_model::Contents;
use etm_testkit::{Agent, BpfDir, Cgroup, Manifests, Protocol};

use super::crowd::{self, Crowd, pods};
use super::stage::{Stage, TARGET, hash, policy, service, targets};
use crate::scene::{ETM, VIP4, web_pod};

const PODS: usize = 6;
const CALLERS: u32 = 20;

const PROTOCOLS: [Protocol; 3] = [Protocol::Tcp, Protocol::UdpConnected, Protocol::UdpUnconnected];

fn by_pod() -> Stage {
    Stage::new(PODS, CALLERS, hash(&["callerPod"]))
}

#[test]
fn each_caller_has_one_pod_in_whatever_way_it_calls() {
    let stage = by_pod();
    let found = stage.crowd.found(TARGET);
    // That all 20 find one Pod of 6 by chance happens once in 10^14 times.
    assert!(pods(&found).len() > 1, "{found:?}");
    for protocol in PROTOCOLS {
        for target in targets() {
            let again = stage.crowd.found_by(target, protocol, |caller| caller);
            assert_eq!(again, found, "{protocol:?} to {target}");
        }
        let mapped = stage.crowd.found_by(TARGET, protocol, etm_testkit::Caller::mapped);
        assert_eq!(mapped, found, "{protocol:?} to a mapped address");
    }
    for target in targets() {
        let again = stage.crowd.found_by(target, Protocol::Tcp, etm_testkit::Caller::mptcp);
        assert_eq!(again, found, "MPTCP to {target}");
    }
    // Each of them shows the Service, as without a policy.
    let name = stage.crowd.names().next().expect("a caller");
    for protocol in PROTOCOLS {
        let call = stage.crowd.caller(name, protocol).call(TARGET).expect("a call");
        crate::scene::assert_served(&call, &stage.client);
    }
}

#[test]
fn a_process_keeps_its_pod_from_call_to_call() {
    let stage = by_pod();
    for name in stage.crowd.names().take(4) {
        let calls = stage.crowd.caller(name, Protocol::Tcp).calls(TARGET, 50).expect("calls");
        let pods: std::collections::BTreeSet<_> = calls.iter().map(|call| call.pod()).collect();
        assert_eq!(pods.len(), 1, "{name}: {pods:?}");
    }
}

#[test]
fn an_agent_that_returns_changes_nothing() {
    let mut stage = by_pod();
    let found = stage.crowd.found(TARGET);
    let line = stage.restart();
    assert!(line.contains("maps: 8 adopted, 0 added, 0 changed, 0 removed, 0 repaired"), "{line}");
    assert_eq!(stage.crowd.found(TARGET), found);
    stage.stop();
    assert_eq!(stage.crowd.found(TARGET), found);
    // Nothing is left to remember anything by.
    let output = stage.scene.etm(&["detach"]);
    assert!(output.status.success(), "{output:?}");
    stage.agent = Some(stage.scene.start());
    stage.crowd.until_known(&stage.scene.pin());
    assert_eq!(stage.crowd.found(TARGET), found);
}

/// What the tables of each frontend say, apart from where they lie and under which numbers.
fn tables(contents: &Contents) -> BTreeMap<String, String> {
    let table = |frontend: &etm_abi::Frontend| {
        let members = contents.tables[&(frontend.table, frontend.members)].iter().map(|id| {
            let backend = contents.backends[id];
            (backend.address, backend.port, backend.protocol)
        });
        let balance = &contents.balances[&frontend.table];
        let header = etm_abi::Balancing { shortlist: 0, ..balance.header };
        let members: Vec<_> = members.collect();
        format!("{members:?} {header:?} {:?} {:?}", balance.candidates, balance.shortlist)
    };
    let tables = contents.frontends.iter().map(|(key, one)| (format!("{key:?}"), table(one)));
    tables.collect()
}

#[test]
fn two_agents_that_were_told_in_another_order_agree() {
    // Twelve, so that there is a shortlist.
    const MANY: usize = 12;
    let stage = Stage::new(MANY, CALLERS, hash(&["callerPod"]));
    let found = stage.crowd.found(TARGET);

    let pins = BpfDir::new().expect("a folder for pins");
    let pin = pins.path().join("etm");
    let manifests = Manifests::new().expect("a folder of manifests");
    let mut callers = crowd::manifests(CALLERS);
    callers.reverse();
    manifests.apply("0-callers.yaml", &callers).expect("a manifest");
    let cgroup = Cgroup::new().expect("a cgroup");
    let crowd = Crowd::new(&cgroup, &stage.client, CALLERS);
    let agent = Agent::of(ETM)
        .node("node-b")
        .manifests(manifests.path())
        .pin(&pin)
        .cgroup(&cgroup)
        .place(&stage.scene.node.place())
        .start()
        .expect("an agent");
    // One by one and from the last on, a different order of changes than of a first reading.
    for (number, backend) in stage.backends.iter().enumerate().rev() {
        let file = format!("{}.yaml", MANY - number);
        manifests.apply(&file, &[web_pod(&backend.pod)]).expect("a manifest");
        if number == MANY / 2 {
            manifests.apply("9-policy.yaml", &[policy(hash(&["callerPod"]))]).expect("a manifest");
            manifests.apply("a.yaml", &[service()]).expect("a manifest");
        }
    }
    let contents = || View::open(&pin).expect("maps").contents().expect("contents");
    etm_testkit::wait::until("the other agent has every Pod", || {
        let frontends = contents().frontends;
        frontends.len() == 8 && frontends.values().all(|one| one.members == MANY as u32)
    });
    let ours = stage.contents();
    assert!(ours.balances.values().all(|balance| !balance.shortlist.is_empty()));
    assert_eq!(tables(&contents()), tables(&ours));
    crowd.until_known(&pin);
    assert_eq!(crowd.found(SocketAddr::new(VIP4, 80)), found);
    drop(agent);
}
