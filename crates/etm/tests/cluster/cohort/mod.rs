//! A release of three Services that call one another: whatever step it is at or goes to, a request is
//! served by one version from end to end.

mod chain;
mod load;

use std::sync::{Mutex, PoisonError};

use serde_json::json;

use chain::Chain;
use load::Load;

/// Each test has a controller, which looks after the releases of the whole cluster.
static CONTROLLER: Mutex<()> = Mutex::new(());

#[test]
fn no_request_of_ten_thousand_crosses_versions_while_a_release_goes_on_to_its_end() {
    let _alone = CONTROLLER.lock().unwrap_or_else(PoisonError::into_inner);
    let chain = Chain::start();
    let step = |percent: u32| json!({"percent": percent, "pause": {}});
    let steps = [step(0), step(50), step(100)];
    chain.release("two", &json!({"canary": {"steps": steps, "hold": "3s"}}));
    chain.until_status("two", "waits", |status| status["traffic"] == "Stable");
    chain.deploy("v2");
    chain.until_status("two", "has begun", |status| status["phase"] == "Paused");
    let seen = Load::run(&chain, "two", |load| {
        load.until_at(0);
        load.until_made(1_500);
        load.moves();
        chain.ask("promote", "two");
        load.until_at(50);
        load.until_made(4_000);
        // Whoever comes while it runs belongs to a version before anybody reaches him.
        for (service, version) in [("front", "v2"), ("front", "v1"), ("cart", "v2")] {
            chain.member(service, version, 2);
            chain.member(service, version, 3);
        }
        load.until_made(6_000);
        load.moves();
        chain.ask("promote", "two");
        load.until_at(100);
        load.until_made(8_000);
        chain.ask("promote", "two");
        chain.until_status("two", "is completed", |status| status["phase"] == "Completed");
        load.until_made(10_000);
    });
    assert!(seen.wrong.is_empty(), "{} of {:?}: {:?}", seen.wrong.len(), seen.served, seen.wrong);
    assert!(seen.served.values().sum::<usize>() >= 10_000, "{:?}", seen.served);
    assert!(seen.served["v1"] > 1_500 && seen.served["v2"] > 4_000, "{:?}", seen.served);
    eprintln!("requests by version: {:?}", seen.served);
}

#[test]
fn no_request_crosses_versions_when_a_release_begins_and_is_rolled_back() {
    let _alone = CONTROLLER.lock().unwrap_or_else(PoisonError::into_inner);
    let chain = Chain::start();
    let steps = [json!({"percent": 50, "pause": {}})];
    for round in 0..5 {
        let name = format!("bad-{round}");
        chain.release(&name, &json!({"canary": {"steps": steps, "hold": "2s"}}));
        let seen = chain.under_load(&name, round == 0, |load| {
            chain.until_status(&name, "has begun", |status| status["phase"] == "Paused");
            load.until_at(50);
            load.until_made(1_000);
            load.moves();
            chain.ask("abort", &name);
            chain.until_status(&name, "is rolled back", |status| status["traffic"] == "Returned");
            load.until_at(0);
            chain.until_status(&name, "has settled", |status| status["traffic"] == "Stable");
            load.until_made(2_000);
        });
        assert!(seen.wrong.is_empty(), "{:?}: {:?}", seen.served, seen.wrong);
        assert!(seen.served["v1"] > 0 && seen.served["v2"] > 0, "{:?}", seen.served);
        chain.end(&name);
    }
}

#[test]
fn no_request_is_refused_or_crosses_versions_when_everyone_is_switched_and_back() {
    let _alone = CONTROLLER.lock().unwrap_or_else(PoisonError::into_inner);
    let chain = Chain::start();
    for round in 0..4 {
        let name = format!("green-{round}");
        let completes = round % 2 == 1;
        let hold = if completes { "2s" } else { "1h" };
        chain.release(&name, &json!({"blueGreen": {"pause": {}, "hold": hold}}));
        let seen = chain.under_load(&name, round == 0, |load| {
            chain.until_status(&name, "has begun", |status| status["phase"] == "Paused");
            load.until_at(0);
            load.until_made(500);
            load.moves();
            chain.ask("promote", &name);
            load.until_at(100);
            let phase = if completes { "Completed" } else { "Holding" };
            chain.until_status(&name, phase, |status| status["phase"] == phase);
            load.until_made(1_500);
            load.moves();
            chain.ask("undo", &name);
            chain.until_status(&name, "is back", |status| status["traffic"] == "Returned");
            load.until_at(0);
            load.until_made(2_500);
        });
        assert!(seen.wrong.is_empty(), "{:?}: {:?}", seen.served, seen.wrong);
        assert!(seen.served["v1"] > 500 && seen.served["v2"] > 500, "{:?}", seen.served);
        chain.end(&name);
    }
}
