use std::sync::Arc;

use etm_model::{Change, LoadBalancing, Policy, Problem, Refusal, StaleConnections};

use super::*;

fn observed(version: &str, conditions: Vec<Condition>) -> ObservedPolicy {
    let name = ObjectName::new("shop", "calm");
    let policy = Policy {
        name: name.clone(),
        created: None,
        service: Arc::from("cart"),
        port: None,
        load_balancing: LoadBalancing::default(),
        health: None,
        refusal: Refusal::default(),
        stale: StaleConnections::default(),
        monitors: Arc::default(),
        ejected: Arc::default(),
    };
    let mut observed = ObservedPolicy {
        name,
        version: version.to_owned(),
        generation: Some(1),
        status: etm_api::TrafficPolicyStatus::default(),
        policy: Ok(policy),
    };
    observed.status.observed_generation = (!conditions.is_empty()).then_some(1);
    observed.status.conditions = conditions;
    observed
}

fn update(observed: ObservedPolicy) -> PolicyUpdate {
    let policy = observed.policy.clone().ok();
    PolicyUpdate {
        changes: policy.into_iter().map(Change::SetPolicy).collect(),
        policies: vec![(observed.name.clone(), Some(observed))],
        ..PolicyUpdate::default()
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

fn problem() -> Problem {
    let empty = String::new;
    Problem { object: empty(), field: empty(), reason: empty(), hint: empty() }
}

#[test]
fn what_is_as_it_should_be_is_not_written() {
    let mut policies = Policies::default();
    policies.update(update(observed("1", Vec::new())));
    let write = policies.next(at(100)).expect("a write");
    assert_eq!((write.version.as_str(), write.generation), ("1", Some(1)));
    assert_eq!(
        (&*write.conditions[0].status, &*write.conditions[0].reason),
        ("False", "TargetNotFound")
    );
    assert_eq!(write.conditions[0].last_transition_time, Time(at(100)));
    policies.update(update(observed("2", write.conditions)));
    assert_eq!(policies.next(at(200)), None);
    assert_eq!(policies.count(), (1, 0));
}

#[test]
fn the_time_changes_with_the_status_alone() {
    let mut policies = Policies::default();
    policies.update(update(observed("1", Vec::new())));
    let mut condition = policies.next(at(100)).expect("a write").conditions.remove(0);
    condition.message = "said otherwise".to_owned();
    policies.update(update(observed("2", vec![condition.clone()])));
    let write = policies.next(at(200)).expect("a write");
    assert_eq!(write.conditions[0].last_transition_time, Time(at(100)));

    condition.status = "True".to_owned();
    policies.update(update(observed("3", vec![condition])));
    let write = policies.next(at(300)).expect("a write");
    assert_eq!(write.conditions[0].last_transition_time, Time(at(300)));
}

#[test]
fn each_version_is_written_to_once() {
    let mut policies = Policies::default();
    policies.update(update(observed("1", Vec::new())));
    for outcome in [Outcome::Written, Outcome::Overtaken, Outcome::Refused(problem())] {
        let write = policies.next(at(100)).expect("a write");
        policies.note(&write, &Outcome::Failed(problem()));
        assert_eq!(policies.next(at(100)), Some(write.clone()), "what failed is tried again");
        policies.note(&write, &outcome);
        assert_eq!(policies.next(at(100)), None, "{outcome:?}");
        let refused = matches!(outcome, Outcome::Refused(_));
        assert_eq!(policies.problems().count(), usize::from(refused));
        let version = format!("{}0", write.version);
        policies.update(update(observed(&version, Vec::new())));
    }
}

#[test]
fn one_that_cannot_be_honoured_is_told_so_until_it_is_gone() {
    let mut policies = Policies::default();
    let mut invalid = observed("1", Vec::new());
    invalid.policy = Err(vec![Problem { reason: "is odd".to_owned(), ..problem() }]);
    policies.update(update(invalid));
    let write = policies.next(at(100)).expect("a write");
    assert_eq!(write.conditions[0].reason, "Invalid");
    assert!(write.conditions[0].message.starts_with("is odd"), "{}", write.conditions[0].message);
    let name = write.name;
    policies.update(PolicyUpdate { policies: vec![(name, None)], ..PolicyUpdate::default() });
    assert_eq!((policies.next(at(100)), policies.count()), (None, (0, 0)));
}
