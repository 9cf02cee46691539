use serde_json::{from_value, json};

use super::*;

const NEW: &str = "10.0.0.2";

fn run() -> Run {
    let analysis = json!({"connections": {"refusedShare": "10", "minimum": 100}});
    Run::new(&from_value(analysis).unwrap()).unwrap()
}

/// What agents say of connections to the new version: established and refused so far.
fn said(by: &[(u16, u32, u32)]) -> Gathered {
    let outcomes = by.iter().map(|&(agent, established, refused)| {
        let backend = BackendOutcomes {
            address: NEW.parse().unwrap(),
            port: 80,
            protocol: "TCP".to_owned(),
            established,
            rtt: 0,
            refused,
            timed_out: 0,
            reset: 0,
        };
        (SocketAddr::from(([10, 9, 9, 9], agent)), vec![backend])
    });
    Gathered {
        new: [NEW.parse().unwrap()].into(),
        outcomes: outcomes.collect(),
        ..Gathered::default()
    }
}

fn step(number: i64) -> Option<Timestamp> {
    Some(Timestamp::from_second(1_800_000_000 + number).unwrap())
}

#[test]
fn what_came_while_an_agent_was_silent_is_of_no_step() {
    let mut run = run();
    run.take(&said(&[(1, 0, 0), (2, 0, 0)]), step(0), step(0));
    run.take(&said(&[(1, 50, 0), (2, 10, 0)]), step(0), step(0));
    // The second is not heard of when the next step begins; of what it says later, all may be of before.
    run.take(&said(&[(1, 60, 0)]), step(1), step(1));
    run.take(&said(&[(1, 70, 0), (2, 500, 500)]), step(1), step(1));
    let Some(Verdict::Undecided(why)) = run.verdict(step(1)) else {
        panic!("{:?}", run.verdict(step(1)));
    };
    assert_eq!(why, "10 of at least 100 connections to the new version");
    // From there on it counts.
    run.take(&said(&[(1, 70, 0), (2, 500, 900)]), step(1), step(1));
    assert!(matches!(run.verdict(step(1)), Some(Verdict::Failed(_))), "{:?}", run.verdict(step(1)));
}

#[test]
fn who_cannot_look_says_why() {
    let mut run = run();
    let blind = |reason: &str| Gathered { unseen: Some(reason.to_owned()), ..said(&[]) };
    let told = |run: &Run| match run.verdict(step(0)) {
        Some(Verdict::Undecided(why)) => why,
        other => panic!("{other:?}"),
    };
    run.take(&blind("there is no agent"), step(0), step(0));
    assert_eq!(told(&run), "no connection was seen yet; there is no agent");
    run.take(&blind("there is no agent"), step(0), step(0));
    assert_eq!(told(&run), "0 of at least 100 connections to the new version; there is no agent");
    run.take(&said(&[]), step(0), step(0));
    assert_eq!(told(&run), "0 of at least 100 connections to the new version");
}
