//! Policies that make no sense are told of, and traffic goes on as before.

use etm_abi::ALGORITHM_LEAST_CONNECTIONS;
use etm_testkit::Protocol;
use etm_testkit::wait::{until, until_logged};
use serde_json::{Value, json};

use super::crowd::pods;
use super::stage::{Stage, TARGET, hash, policy, set_policy};

const LEFT_OUT: &str = "until then the policy counts as it was before, and a new one not at all";

/// Puts a bad policy beside a Service that works without one, and reads what is told.
#[track_caller]
fn told(load_balancing: Value, expected: &[&str]) {
    let stage = Stage::prepared(3, 8, |_| {}, |agent| agent);
    set_policy(&stage.scene, load_balancing);
    let agent = stage.agent.as_ref().expect("an agent");
    for line in expected {
        let line = format!("TrafficPolicy default/web (policy.yaml:1): {line}; {LEFT_OUT})");
        until_logged(agent, &["WARN", &line]);
    }
    let problems = agent.stderr().lines().filter(|line| line.contains("WARN")).count();
    assert_eq!(problems, expected.len(), "{}", agent.stderr());
    stage.until_balanced(|header| header.is_none());
    stage.crowd.found(TARGET);
    set_policy(&stage.scene, hash(&["callerNamespace"]));
    for line in expected {
        let (_, rest) = line.split_once(": ").expect("a field, then the reason");
        let (reason, _) = rest.split_once(" (").expect("a reason, then the way out");
        let mended = format!("mended: TrafficPolicy default/web (policy.yaml:1): {reason}");
        until_logged(agent, &["INFO", &mended]);
    }
    stage.until_balanced(|header| header.is_some_and(|header| header.fields == 4));
    assert!(pods(&stage.crowd.found(TARGET)).len() <= 2);
}

#[test]
fn a_good_policy_that_turns_bad_counts_as_it_was() {
    let stage = Stage::new(3, 8, hash(&["callerPod"]));
    let found = stage.crowd.found(TARGET);
    set_policy(&stage.scene, json!({"algorithm": "Sticky"}));
    let agent = stage.agent.as_ref().expect("an agent");
    let line = "TrafficPolicy default/web (policy.yaml:1): spec.loadBalancing.algorithm: unknown \
                variant `Sticky`, expected one of `Random`, `LeastConnections`, `ConsistentHash` \
                (correct it; ";
    until_logged(agent, &["WARN", line, LEFT_OUT]);
    assert_eq!(stage.crowd.found(TARGET), found);
    set_policy(&stage.scene, json!({"algorithm": "LeastConnections"}));
    stage.until_balanced(|header| {
        header.is_some_and(|header| header.algorithm == ALGORITHM_LEAST_CONNECTIONS)
    });
}

#[test]
fn an_unknown_field() {
    told(
        json!({"algorithm": "ConsistentHash", "consistentHash": {"fields": ["callerUid"]}}),
        &[
            "spec.loadBalancing.consistentHash.fields[0]: unknown variant `callerUid`, expected one of `callerPod`, `callerAddress`, `callerNamespace`, `callerPort`, `servicePort`, `protocol` (correct it",
        ],
    );
}

#[test]
fn an_unknown_key() {
    told(
        json!({"algorithm": "Random", "sticky": true}),
        &[
            "spec.loadBalancing.sticky: is not known (correct its name or take it away, or upgrade etm to a version that has it",
        ],
    );
}

#[test]
fn weights_out_of_range() {
    told(
        json!({"weights": {"services": [
            {"name": "none", "weight": 0}, {"name": "negative", "weight": -1},
            {"name": "huge", "weight": 1001},
        ]}}),
        &[
            "spec.loadBalancing.weights.services[0].weight: 0 is not within 1 and 1000 (correct it; to take a Pod out of service, make it not ready",
            "spec.loadBalancing.weights.services[1].weight: -1 is not within 1 and 1000 (correct it; to take a Pod out of service, make it not ready",
            "spec.loadBalancing.weights.services[2].weight: 1001 is not within 1 and 1000 (correct it; to take a Pod out of service, make it not ready",
        ],
    );
}

#[test]
fn fields_for_another_algorithm() {
    told(
        json!({"algorithm": "Random", "consistentHash": {"fields": ["callerPod"]}}),
        &[
            "spec.loadBalancing.consistentHash: needs algorithm: ConsistentHash (set that, or take consistentHash away",
        ],
    );
}

#[test]
fn a_policy_of_a_service_that_is_not_there() {
    let stage = Stage::new(3, 8, hash(&["callerPod"]));
    let found = stage.crowd.found(TARGET);
    let mut other = policy(hash(&["callerNamespace"]));
    other["metadata"]["name"] = "astray".into();
    other["spec"]["targetRef"]["name"] = "nowhere".into();
    stage.scene.manifests.apply("astray.yaml", &[other]).expect("a manifest");
    let agent = stage.agent.as_ref().expect("an agent");
    let line = "TrafficPolicy default/astray: spec.targetRef.name: there is no Service \
                default/nowhere that this proxy handles (create it, or correct the name; headless \
                and ExternalName Services have no address at which to choose; the policy counts \
                once there is one)";
    until_logged(agent, &["WARN", line]);
    assert_eq!(stage.crowd.found(TARGET), found);
    stage.scene.manifests.remove("astray.yaml").expect("a manifest");
    until_logged(agent, &["INFO", "mended: TrafficPolicy default/astray"]);
}

#[test]
fn of_two_policies_the_older_counts() {
    let stage = Stage::new(3, 8, hash(&["callerPod"]));
    let found = stage.crowd.found(TARGET);
    let dated = |name: &str, created: &str, fields: &[&str]| {
        let mut one = policy(hash(fields));
        one["metadata"]["name"] = name.into();
        one["metadata"]["creationTimestamp"] = created.into();
        one
    };
    let policies = [
        dated("a-young", "2026-01-02T00:00:00Z", &["callerNamespace"]),
        dated("b-old", "2026-01-01T00:00:00Z", &["callerPod"]),
    ];
    stage.scene.manifests.apply("policy.yaml", &policies).expect("manifests");
    let agent = stage.agent.as_ref().expect("an agent");
    let line = "TrafficPolicy default/a-young: spec.targetRef: TrafficPolicy default/b-old, which is \
                older, already says how Service default/web is balanced (that one counts; delete \
                one of the two, or name another port in one of them)";
    until_logged(agent, &["WARN", line]);
    assert_eq!(stage.crowd.found(TARGET), found);
    stage.scene.manifests.apply("policy.yaml", &policies[..1]).expect("manifests");
    stage.until_balanced(|header| header.is_some_and(|header| header.fields == 4));
    until_logged(agent, &["INFO", "mended: TrafficPolicy default/a-young"]);
}

#[test]
fn a_pod_with_a_weight_that_is_none() {
    let stage = Stage::new(2, 0, json!({"weights": {"podAnnotation": true}}));
    let agent = stage.agent.as_ref().expect("an agent");
    for wrong in ["0", "-1", "much", "1001"] {
        super::stage::declare_weighted(&stage.scene, stage.pod("web-0"), wrong);
        let line = format!(
            "Pod default/web-0 (pod-web-0.yaml:1): metadata.annotations[etm.dev/weight]: `{wrong}` \
             is not a number from 1 to 1000 (correct it, it counts as 1 until then; to take a Pod \
             out of service, make it not ready)"
        );
        until_logged(agent, &["WARN", &line]);
    }
    let caller = stage.scene.caller(&stage.client, Protocol::Tcp);
    until("both are called", || {
        let calls = caller.calls(TARGET, 40).expect("calls");
        calls.iter().map(|call| call.pod()).collect::<std::collections::BTreeSet<_>>().len() == 2
    });
}
