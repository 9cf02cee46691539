use std::{collections::BTreeMap, time::Duration};

use etm_model::Bad;
use proptest::prelude::*;

use super::*;
use crate::subject::Labels;

const SECOND: Duration = Duration::from_secs(1);

fn query() -> Query {
    Query {
        text: "q".into(),
        bad: Bad::greater_than(0.5).unwrap(),
        interval: SECOND,
        timeout: SECOND,
        consecutive: 2,
        recovery: 3,
        hold: 5 * SECOND,
    }
}

fn pod(name: &str) -> Subject {
    Subject::Pod(name.into(), format!("{name}-uid").into())
}

fn subjects(names: &[&str]) -> Subjects {
    let endpoints: Vec<_> = names
        .iter()
        .enumerate()
        .map(|(i, name)| {
            serde_json::json!({
                "addresses": [format!("10.0.0.{}", i + 1)],
                "targetRef": {"kind": "Pod", "name": name, "uid": format!("{name}-uid")},
            })
        })
        .collect();
    let slice = serde_json::json!({
        "metadata": {}, "addressType": "IPv4", "endpoints": endpoints,
    });
    Subjects::endpoints("shop", &[serde_json::from_value(slice).unwrap()])
}

fn sample(labels: &[(&str, &str)], value: f64) -> Sample {
    let labels: Labels = labels.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
    Sample { labels, value }
}

struct Stage {
    judge: Judge,
    start: Instant,
    round: u32,
}

impl Stage {
    fn new() -> Self {
        let start = Instant::now();
        Self { judge: Judge::heir(BTreeMap::new(), start), start, round: 0 }
    }

    fn round(&mut self, samples: &[Sample]) -> Result<Vec<String>, Unusable> {
        self.round += 1;
        let now = self.start + SECOND * self.round;
        let time = Timestamp::from_second(self.round.into()).unwrap();
        let subjects = subjects(&["a", "b"]);
        self.judge.take(&query(), &subjects, samples, now, time)?;
        Ok(self.judge.out.keys().map(ToString::to_string).collect())
    }
}

#[test]
fn so_many_in_a_row_eject_and_so_many_return() {
    let mut stage = Stage::new();
    let bad = [sample(&[("pod", "a")], 0.9), sample(&[("pod", "b")], 0.1)];
    assert_eq!(stage.round(&bad).unwrap(), [""; 0]);
    assert_eq!(stage.round(&[]).unwrap(), [""; 0], "in between it was well");
    assert_eq!(stage.round(&bad).unwrap(), [""; 0]);
    assert_eq!(stage.round(&bad).unwrap(), ["Pod a"]);
    let out = &stage.judge.out[&pod("a")];
    assert_eq!((&*out.message, out.since.as_second()), ("0.9 > 0.5, 2 times in a row", 4));
    let good = [sample(&[("pod", "a")], 0.5)];
    for round in [&good[..], &[], &[sample(&[("pod", "a")], 0.6)], &good, &[]] {
        assert_eq!(stage.round(round).unwrap(), ["Pod a"], "{round:?}");
    }
    assert_eq!(stage.round(&good).unwrap(), [""; 0]);
}

#[test]
fn what_makes_no_sense_changes_nothing() {
    let mut stage = Stage::new();
    let bad = [sample(&[("pod", "a")], 0.9)];
    stage.round(&bad).unwrap();
    assert_eq!(stage.round(&bad).unwrap(), ["Pod a"]);
    let before = stage.judge.out.clone();
    let nan = sample(&[("pod", "a")], f64::NAN);
    let infinite = sample(&[("pod", "a")], f64::INFINITY);
    assert_eq!(stage.round(&[nan.clone(), infinite]), Err(Unusable::NoNumber));
    let nameless = sample(&[("job", "shop")], 0.9);
    assert_eq!(stage.round(&[nameless, bad[0].clone()]), Err(Unusable::Nameless("pod")));
    assert_eq!(stage.judge.out, before);
    // One that is no number beside others is as one that is missing.
    let other = sample(&[("pod", "b")], 0.1);
    for _ in 0..2 {
        assert_eq!(stage.round(&[nan.clone(), other.clone()]).unwrap(), ["Pod a"]);
    }
    assert_eq!(stage.round(&[nan, other]).unwrap(), [""; 0]);
}

#[test]
fn nobody_else_is_ejected() {
    let mut stage = Stage::new();
    let others = [
        sample(&[("pod", "a"), ("namespace", "other")], 0.9),
        sample(&[("pod", "c")], 0.9),
        sample(&[("instance", "10.0.0.9:80")], 0.9),
        sample(&[("pod_ip", "::1")], 0.9),
    ];
    for _ in 0..4 {
        assert_eq!(stage.round(&others).unwrap(), [""; 0]);
    }
    let named = [
        sample(&[("pod", "a"), ("namespace", "shop"), ("instance", "10.0.0.2:80")], 0.9),
        sample(&[("instance", "10.0.0.2:8080")], 0.9),
    ];
    stage.round(&named).unwrap();
    assert_eq!(stage.round(&named).unwrap(), ["Pod a", "Pod b"]);
}

#[test]
fn without_an_answer_they_return_after_the_hold_time() {
    let mut stage = Stage::new();
    let bad = [sample(&[("pod", "a")], 0.9)];
    stage.round(&bad).unwrap();
    assert_eq!(stage.judge.expiry(&query()), None, "nobody is out");
    stage.round(&bad).unwrap();
    let expiry = stage.start + SECOND * 7;
    assert_eq!(stage.judge.expiry(&query()), Some(expiry));
    stage.judge.expire(&query(), expiry - Duration::from_nanos(1));
    assert_eq!(stage.judge.out.len(), 1);
    stage.judge.expire(&query(), expiry);
    assert_eq!(stage.judge.out.len(), 0);
    assert_eq!(stage.round(&bad).unwrap(), [""; 0], "it begins anew");
}

#[test]
fn another_pod_of_the_same_name_is_not_ejected() {
    let mut stage = Stage::new();
    let uid = |uid: &str| Subject::Pod("a".into(), uid.into());
    let out = |subject| BTreeMap::from([(subject, Out::new("bad".into(), Timestamp::UNIX_EPOCH))]);
    stage.judge = Judge::heir(out(uid("before")), stage.start);
    assert_eq!(stage.round(&[]).unwrap(), [""; 0]);
    // Of one without a UID it cannot be told.
    stage.judge = Judge::heir(out(uid("")), stage.start);
    assert_eq!(stage.round(&[]).unwrap(), ["Pod a"]);
}

#[test]
fn more_than_a_status_has_room_for_are_none() {
    let names: Vec<String> = (0..=EJECTED).map(|i| format!("p{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let all: Vec<_> = names.iter().map(|name| sample(&[("pod", name)], 0.9)).collect();
    let few = &all[..250];
    assert_eq!(bad(&query(), &subjects(&names[..250]), few).unwrap().len(), 250);
    let nodes: Vec<Arc<str>> = names.iter().map(|name| (*name).into()).collect();
    let none: &[std::net::IpAddr] = &[];
    let nodes = Subjects::nodes(nodes.iter().map(|name| (name, none)));
    let all: Vec<_> = names.iter().map(|name| sample(&[("node", name)], 0.9)).collect();
    assert_eq!(bad(&query(), &nodes, &all), Err(Unusable::TooMany(EJECTED + 1, EJECTED)));
}

proptest! {
    /// Nobody is ejected without so many bad results in a row, and nobody stays without a bad one.
    #[test]
    fn who_is_out_had_bad_results(rounds in prop::collection::vec(0..4_u8, 1..40)) {
        let mut stage = Stage::new();
        let (mut bad, mut good, mut out) = (0, 0, false);
        for round in rounds {
            let samples = match round {
                0 => vec![sample(&[("pod", "a")], 0.9)],
                1 => vec![sample(&[("pod", "a")], 0.1)],
                2 => vec![],
                _ => vec![sample(&[("pod", "a")], f64::NAN)],
            };
            let outcome = stage.round(&samples);
            if let Ok(names) = outcome {
                if round == 0 {
                    (bad, good) = (bad + 1, 0);
                } else {
                    (bad, good) = (0, good + 1);
                }
                out = if out { good < 3 } else { bad >= 2 };
                prop_assert_eq!(names.len(), usize::from(out));
            }
        }
    }
}
