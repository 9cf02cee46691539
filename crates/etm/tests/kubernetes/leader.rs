//! Which of several controllers writes.

use std::net::SocketAddr;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use etm_testkit::{Agent, AgentBuilder};
use serde_json::{Value, json};

use crate::conditions::{until_condition, version, writes};
use crate::metrics;
use crate::policies::policy;
use crate::scene::{Scene, free};
use etm_testkit::wait::{until, until_logged};

impl Scene {
    /// A controller as administrator, whose Lease is in this test's namespace.
    pub(crate) fn controller(&self, admin: SocketAddr) -> AgentBuilder {
        self.controller_with(self.cluster.kubeconfig(), &self.namespace, admin)
    }

    /// A controller by a kubeconfig, whose Lease is in some namespace.
    pub(crate) fn controller_with(
        &self,
        kubeconfig: &Path,
        namespace: &str,
        admin: SocketAddr,
    ) -> AgentBuilder {
        Agent::of(env!("CARGO_BIN_EXE_etm"))
            .verb("controller")
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .arg("--namespace")
            .arg(namespace)
            .arg("--admin")
            .arg(admin.to_string())
    }
}

fn leads(admin: SocketAddr) -> bool {
    metrics::value_at(admin, "etm_leader") == Some(1.0)
}

fn lease(scene: &Scene) -> Value {
    let path = scene.path("leases", "etm-controller");
    scene.cluster.api().get(&path).expect("an answer").expect("a Lease")
}

/// Two controllers with where each answers; the first of them leads.
fn two(scene: &Scene) -> [(Agent, SocketAddr); 2] {
    let start = || {
        let admin = free();
        (scene.controller(admin).start().expect("a controller"), admin)
    };
    let first = start();
    until("the first leads", || leads(first.1));
    let second = start();
    for (_, admin) in [&first, &second] {
        assert_eq!(metrics::status_at(*admin, "/readyz"), 200);
        assert_eq!(metrics::status_at(*admin, "/livez"), 200);
    }
    [first, second]
}

/// Makes a policy of no Service and waits for its condition.
fn judged(scene: &Scene, name: &str) {
    scene.create("trafficpolicies", policy(name, "nowhere", &json!({})));
    until_condition(scene, name, "TargetNotFound");
}

#[test]
fn one_of_two_writes_and_the_other_goes_on_where_it_is_killed() {
    let scene = Scene::controlled();
    let [(first, one), (_second, two)] = two(&scene);
    for name in ["a", "b", "c"] {
        judged(&scene, name);
    }
    assert_eq!((leads(one), leads(two)), (true, false));
    // Those that other tests left may be among them.
    assert!(writes(one) >= 3.0);
    assert_eq!(writes(two), 0.0);
    let versions = ["a", "b", "c"].map(|name| version(&scene, name));
    let holder = lease(&scene)["spec"]["holderIdentity"].clone();

    first.kill().expect("an end");
    scene.create("trafficpolicies", policy("d", "nowhere", &json!({})));
    until_condition(&scene, "d", "TargetNotFound");
    assert!(leads(two));
    assert_eq!(writes(two), 1.0, "what the first has written is as it should be");
    assert_eq!(["a", "b", "c"].map(|name| version(&scene, name)), versions);
    let spec = lease(&scene)["spec"].clone();
    assert_ne!(spec["holderIdentity"], holder);
    assert_eq!(spec["leaseTransitions"], 1);
}

#[test]
fn one_that_wakes_up_late_writes_nothing() {
    let scene = Scene::controlled();
    let [(first, one), (_second, two)] = two(&scene);
    judged(&scene, "a");
    let written = writes(one);

    // What happens now waits for the first in its sockets.
    first.pause().expect("a pause");
    scene.create("trafficpolicies", policy("b", "nowhere", &json!({})));
    scene.service("web");
    scene.create("trafficpolicies", policy("c", "web", &json!({})));
    until_condition(&scene, "b", "TargetNotFound");
    until_condition(&scene, "c", "Accepted");
    assert!(leads(two));
    let versions = ["a", "b", "c"].map(|name| version(&scene, name));
    first.resume().expect("it goes on");
    until_logged(&first, &["no longer leads"]);
    judged(&scene, "d");
    // It has heard of that as well by then, and of all that came before.
    until("it follows", || metrics::value_at(one, r#"etm_policies{accepted="true"}"#) >= Some(1.0));
    sleep(Duration::from_secs(3));
    assert_eq!(writes(one), written);
    assert_eq!((leads(one), leads(two)), (false, true));
    assert_eq!(["a", "b", "c"].map(|name| version(&scene, name)), versions);
}

#[test]
fn one_that_is_told_to_stop_gives_the_lease_up() {
    let scene = Scene::controlled();
    let [(first, _), (_second, two)] = two(&scene);
    let (status, said) = first.stop().expect("an end");
    assert!(status.success(), "{said}");
    assert_eq!(lease(&scene)["spec"]["leaseDurationSeconds"], 1, "or the other has it: {said}");
    until("the other leads", || leads(two));
    judged(&scene, "a");
}

#[test]
fn one_whose_lease_another_takes_stops_at_once() {
    let scene = Scene::controlled();
    let controller = scene.controller(scene.admin).start().expect("a controller");
    judged(&scene, "a");
    let path = scene.path("leases", "etm-controller");
    let fields = json!({"spec": {"holderIdentity": "someone", "leaseDurationSeconds": 8}});
    scene.cluster.api().merge(&path, &fields).expect("a Lease");
    until_logged(&controller, &["no longer leads: someone does"]);
    assert!(!leads(scene.admin));
    let written = writes(scene.admin);
    scene.create("trafficpolicies", policy("b", "nowhere", &json!({})));
    until("it runs out", || leads(scene.admin));
    until_condition(&scene, "b", "TargetNotFound");
    assert_eq!(writes(scene.admin), written + 1.0);
}
