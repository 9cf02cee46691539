//! Releases beside other routes: who comes first, and what each is told of the other.

use serde_json::{Value, json};

use crate::conditions::among;
use crate::gateway;
use crate::releases::paused;
use crate::route_conditions::until_condition;
use crate::routes::{route, to};
use crate::scene::{Scene, addresses};
use etm_testkit::wait::{until, until_some};

impl Scene {
    /// Waits until a release is routed or not, for this reason, and gives its status.
    #[track_caller]
    fn until_routed(&self, name: &str, reason: &str) -> Value {
        until_some(&format!("{name} is Routed for {reason}"), || {
            let status = self.status_of(name);
            routed(&status).filter(|routed| routed["reason"] == reason)?;
            Some(status)
        })
    }
}

fn routed(status: &Value) -> Option<&Value> {
    among(status, "Routed")
}

fn says(status: &Value, words: &str) -> bool {
    status["message"].as_str().is_some_and(|text| text.contains(words))
}

#[test]
fn a_route_behind_a_release_says_so() {
    let scene = Scene::controlled();
    scene.web();
    let rules = gateway::to(&[("web-1", 1)]);
    scene.create(
        "tcproutes",
        gateway::route("TCPRoute", "split", &[gateway::service("web")], &rules),
    );
    let _controller = scene.controller(scene.admin).start().expect("a controller");
    let path = scene.path("tcproutes", "split");
    gateway::until_condition(&scene, &path, "Accepted", "Accepted");
    scene.release("two", &paused());
    let behind = gateway::until_condition(&scene, &path, "Accepted", "Conflicted");
    let message = behind["message"].as_str().expect("a message");
    assert!(message.contains(&format!("Release {}/two", scene.namespace)), "{message}");
    let status = scene.until_phase("two", "Paused", Some(0));
    let routed = routed(&status).expect("a condition");
    assert_eq!((&routed["status"], &routed["reason"]), (&json!("True"), &json!("Routed")));

    // One that would lead back to what the release, which is older, leads away from.
    scene.create("trafficroutes", route("back", "web-2", &to(&[("web", 1)])));
    until_condition(&scene, "back", "Accepted", "Loop");
    scene.delete("releases", "two");
    gateway::until_condition(&scene, &path, "Accepted", "Accepted");
    until_condition(&scene, "back", "Accepted", "Accepted");
}

#[test]
fn a_release_behind_a_route_waits_and_makes_no_step() {
    let scene = Scene::controlled();
    scene.web();
    let everyone = || route("everyone", "web", &to(&[("web-1", 1)]));
    scene.create("trafficroutes", everyone());
    let _controller = scene.controller(scene.admin).start().expect("a controller");
    until_condition(&scene, "everyone", "Accepted", "Accepted");
    scene.release("two", &paused());
    let waits = scene.until_routed("two", "Conflicted");
    let name = format!("TrafficRoute {}/everyone", scene.namespace);
    assert!(says(&waits, "waits until it is routed: "), "{waits}");
    assert!(says(&waits, &name) && says(&waits, "delete one of the two"), "{waits}");
    assert_eq!((&waits["phase"], &waits["step"]), (&json!("Pending"), &Value::Null));
    scene.delete("trafficroutes", "everyone");
    scene.until_phase("two", "Paused", Some(0));

    // Under way: it is told, and nobody leads it on.
    scene.create("trafficroutes", everyone());
    let lost = scene.until_routed("two", "Conflicted");
    assert!(says(&lost, "but it is not routed: ") && says(&lost, &name), "{lost}");
    assert!(scene.refused("promote", "two").contains(&name));
    assert_eq!(scene.status_of("two")["step"], 0);
    scene.delete("trafficroutes", "everyone");
    let found = scene.until_routed("two", "Routed");
    assert!(!says(&found, "not routed"), "{found}");
    scene.asked("promote", "two");
    scene.until_phase("two", "Paused", Some(1));
}

#[test]
fn a_version_without_the_port_is_not_begun() {
    let scene = Scene::controlled();
    scene.service("web");
    scene.version("web-1", &addresses(1));
    let mut other: Value = crate::scene::service("web-2").into();
    other["spec"]["ports"] = json!([{"name": "grpc", "port": 90}]);
    scene.create("services", other);
    scene.slice("web-2-1", "web-2", &addresses(1));
    let _controller = scene.controller(scene.admin).start().expect("a controller");
    scene.release("two", &paused());
    let waits = scene.until_routed("two", "PortNotFound");
    assert_eq!(waits["phase"], "Pending");
    assert!(says(&waits, "spec.services[0].new: Service"), "{waits}");
    let more = json!({"spec": {"ports": [
        {"name": "grpc", "port": 90}, {"name": "http", "port": 80},
    ]}});
    scene.cluster.api().merge(&scene.path("services", "web-2"), &more).expect("a port");
    until("it begins", || scene.status_of("two")["step"] == 0);
}

#[test]
fn a_service_that_nobody_can_call_is_waited_for() {
    let scene = Scene::controlled();
    scene.version("web-1", &addresses(1));
    scene.version("web-2", &addresses(2));
    let _controller = scene.controller(scene.admin).start().expect("a controller");
    scene.release("two", &paused());
    let waits = scene.until_routed("two", "TargetNotFound");
    let name = format!("spec.services[0].service: Service {}/web", scene.namespace);
    assert!(says(&waits, &format!("{name} is not there")), "{waits}");
    assert_eq!((&waits["phase"], &waits["traffic"]), (&json!("Pending"), &Value::Null));

    let mut headless: Value = crate::scene::service("web").into();
    headless["spec"]["clusterIP"] = json!("None");
    scene.create("services", headless);
    let told = format!("{name} has no cluster IP at which to choose, since it is headless");
    let waits = until_some("it says so", || {
        Some(scene.status_of("two")).filter(|status| says(status, &told))
    });
    assert_eq!((&waits["phase"], &waits["traffic"]), (&json!("Pending"), &Value::Null));
    scene.delete("services", "web");
    let elsewhere = json!({"type": "ExternalName", "externalName": "example.com"});
    scene.create(
        "services",
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": elsewhere}),
    );
    until("it says so too", || says(&scene.status_of("two"), "since it is of type ExternalName"));

    scene.delete("services", "web");
    scene.service("web");
    let status = scene.until_phase("two", "Paused", Some(0));
    assert_eq!(routed(&status).expect("a condition")["status"], "True");
}
