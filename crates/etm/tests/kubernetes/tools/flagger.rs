//! Flagger with provider `gatewayapi:v1`: pkg/router/gateway_api.go and pkg/controller/scheduler.go of
//! fluxcd/flagger, as of 1.44.

use etm_testkit::wait::until_some;
use serde_json::{Value, json};

use super::Stage;
use crate::gateway::until_condition;

/// A route as the Canary of the guide asks for it: each write is of the whole spec.
struct Flagger {
    stage: Stage,
    path: String,
}

impl Flagger {
    fn new() -> Self {
        let stage = Stage::new(["web-primary", "web-canary"], false);
        let path = stage.scene.path("httproutes", "web");
        Self { stage, path }
    }

    /// `Reconcile`, of a route that is not there yet.
    fn create(&self) {
        let route = json!({
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": {"name": "web"},
            "spec": self.spec(0),
        });
        self.stage.scene.create("httproutes", route);
    }

    /// `SetRoutes`, or where the Canary was changed `Reconcile`.
    fn write(&self, spec: &Value) {
        self.stage.update(&self.path, |route| route["spec"] = spec.clone());
    }

    /// One match of every path, and the two backends, named after the Service.
    fn spec(&self, canary: u32) -> Value {
        let namespace = &self.stage.scene.namespace;
        json!({
            "parentRefs": [{
                "group": "core", "kind": "Service", "namespace": namespace, "name": "web", "port": 80,
            }],
            "rules": [{
                "matches": [every_path()],
                "backendRefs": [backend("web-primary", 100 - canary), backend("web-canary", canary)],
            }],
        })
    }

    /// An A/B test, `analysis.match` with a header: the rule for those who have it, and one for all
    /// others that leads to the primary alone.
    fn of_insiders(&self, canary: u32) -> Value {
        let mut spec = self.spec(canary);
        let insider = json!([{"type": "Exact", "name": "x-canary", "value": "insider"}]);
        spec["rules"][0]["matches"][0]["headers"] = insider;
        let others = json!({
            "matches": [every_path()], "backendRefs": [backend("web-primary", 100)],
        });
        spec["rules"].as_array_mut().expect("rules").push(others);
        spec
    }

    /// `GetRoutes`, which comes before each step: the canary's weight, and nothing while the entry of the
    /// status for its very parent does not accept this generation. Then Flagger only tries again. Without an
    /// entry it would go on; here one has to come.
    fn reads(&self) -> Option<u64> {
        let route = self.stage.read(&self.path);
        let generation = route["metadata"]["generation"].as_u64();
        let parents = route["status"]["parents"].as_array()?.iter();
        let own = parents.filter(|entry| entry["parentRef"] == route["spec"]["parentRefs"][0]);
        let conditions = own.flat_map(|entry| entry["conditions"].as_array().expect("conditions"));
        let mut accepted =
            conditions.filter(|condition| condition["type"] == "Accepted").peekable();
        accepted.peek()?;
        let goes_on = accepted.all(|condition| {
            condition["status"] == "True" && condition["observedGeneration"].as_u64() >= generation
        });
        let weight = route["spec"]["rules"][0]["backendRefs"][1]["weight"].as_u64();
        if goes_on { weight } else { None }
    }

    /// Flagger may go on, and callers are where it believes them to be.
    #[track_caller]
    fn until_led(&self, canary: u32) {
        let read = until_some("Flagger goes on", || self.reads());
        assert_eq!(read, u64::from(canary));
        // All to the primary is what `web` does by itself.
        self.stage.until_led((canary > 0).then_some(canary));
    }
}

fn every_path() -> Value {
    json!({"path": {"type": "PathPrefix", "value": "/"}})
}

fn backend(name: &str, weight: u32) -> Value {
    json!({"group": "", "kind": "Service", "name": name, "port": 80, "weight": weight})
}

#[test]
fn flagger_sets_weights() {
    let flagger = Flagger::new();
    flagger.create();
    flagger.until_led(0);
    for canary in [
        // `stepWeight: 10`, `maxWeight: 50`: the primary is renewed while half of the calls go to it.
        10, 20, 30, 40, 50, 0, //
        // `stepWeightPromotion: 30`.
        50, 20, 0, //
        // The analysis fails at 30.
        10, 20, 30, 0, //
        // The primary is not ready after it was renewed: all go to the canary, until the next run.
        50, 100, 0, //
        // Blue-green, `iterations` without `match`.
        100, 0,
    ] {
        flagger.write(&flagger.spec(canary));
        flagger.until_led(canary);
    }
}

#[test]
fn an_ab_test_of_flaggers_is_not_begun() {
    let flagger = Flagger::new();
    flagger.create();
    flagger.until_led(0);
    flagger.write(&flagger.spec(30));
    flagger.until_led(30);
    // That takes layer 7, which is said; callers go as if there were no route, and Flagger does not go on.
    // The second one is what it wrote if it did.
    for canary in [0, 100] {
        flagger.write(&flagger.of_insiders(canary));
        flagger.stage.until_led(None);
        let refused =
            until_condition(&flagger.stage.scene, &flagger.path, "Accepted", "UnsupportedValue");
        let message = refused["message"].as_str().expect("a message");
        assert!(message.contains("spec.rules[0].matches[0]"), "{refused}");
        assert!(message.contains("layer 7"), "{refused}");
        assert_eq!(flagger.reads(), None);
    }
    flagger.write(&flagger.spec(0));
    flagger.until_led(0);
}
