//! What tools for releases write to routes, replayed on a real API server: each write as the tool
//! makes it, read and replaced as a whole, by the version of the kind that the tool speaks. Behind it
//! a real agent leads real callers.

mod argo;
mod flagger;

use std::net::{IpAddr, SocketAddr};

use etm_abi::{FRONTEND_ROUTED, Target};
use etm_model::from_abi;
use etm_testkit::wait::until;
use etm_testkit::{Agent, Caller, Pod};
use serde_json::Value;

use crate::maps::key;
use crate::scene::{Backend, Scene, free};

const GROUP: &str = "gateway.networking.k8s.io";

/// Connections that are counted after each write.
const CALLS: u32 = 200;

/// The Service `web`, with a Pod of each of its versions and a caller, a controller that answers the tool
/// in the route's status, and an agent.
struct Stage {
    _agent: Agent,
    _controller: Agent,
    caller: Caller,
    _client: Pod,
    _old: Backend,
    new: Backend,
    web: SocketAddr,
    scene: Scene,
}

impl Stage {
    /// With a Service of its own for each version; `web` itself leads to the old one, and where it selects
    /// all Pods to both.
    fn new([old_name, new_name]: [&str; 2], selects_all: bool) -> Self {
        let scene = Scene::controlled();
        let [old, new] = ["old", "new"].map(|name| scene.backend(name));
        let addresses = [&old, &new].map(|backend| backend.pod.ipv4().into());
        let web = scene.service("web");
        scene.slice("web-own", "web", if selects_all { &addresses } else { &addresses[..1] });
        for (service, address) in [(old_name, addresses[0]), (new_name, addresses[1])] {
            scene.service(service);
            scene.slice(&format!("{service}-1"), service, &[address]);
        }
        let (client, caller) = scene.caller();
        let controller = scene.controller(free()).start().expect("a controller");
        let agent = scene.agent().start().expect("an agent");
        scene.until_members(web, Some(if selects_all { 2 } else { 1 }));
        Self {
            _agent: agent,
            _controller: controller,
            caller,
            _client: client,
            _old: old,
            new,
            web,
            scene,
        }
    }

    /// Which share of calls of `web` the agent's maps send to the new version; nothing where they have no
    /// route of it. By its address: Pods of other tests had that before, and may still give it their names.
    fn share(&self) -> Option<f64> {
        let contents = self.scene.contents().expect("maps");
        let frontend = contents.frontends.get(&key(self.web))?;
        if frontend.flags & FRONTEND_ROUTED == 0 {
            return None;
        }
        let [shares] = contents.routes.get(&frontend.table)?.classes.as_slice() else {
            panic!("all callers get the same")
        };
        let new = IpAddr::from(self.new.pod.ipv4());
        let is_new = |id: &u32| {
            let backend = contents.backends.get(id);
            backend.is_some_and(|backend| from_abi(&backend.address) == new)
        };
        let leads_to_new = |target: Target| contents.members(target).iter().any(is_new);
        let weight = |(weight, _): &(u32, Target)| f64::from(*weight);
        let of_new: f64 = shares.iter().filter(|share| leads_to_new(share.1)).map(weight).sum();
        Some(of_new / shares.iter().map(weight).sum::<f64>())
    }

    /// Waits until the maps send this percentage to the new version, or have no route of the Service, and
    /// counts real connections.
    #[track_caller]
    fn until_led(&self, percent: Option<u32>) {
        let expected = percent.map(|percent| f64::from(percent) / 100.0);
        until(&format!("the new version has {percent:?} percent"), || {
            match (self.share(), expected) {
                (Some(share), Some(expected)) => (share - expected).abs() < 1e-6,
                (share, expected) => share.is_none() && expected.is_none(),
            }
        });
        let calls = self.caller.calls(self.web, CALLS as usize).expect("calls");
        assert!(calls.iter().all(etm_testkit::Call::answered), "{calls:?}");
        let new: u32 = calls.iter().map(|call| u32::from(call.pod() == Some("new"))).sum();
        // Nothing at all beside 0 and 100 percent; in between, six standard deviations are missed once in
        // 10^9 times.
        let (share, calls) = (expected.unwrap_or_default(), f64::from(CALLS));
        let (mean, deviation) = (calls * share, (calls * share * (1.0 - share)).sqrt());
        assert!(
            (f64::from(new) - mean).abs() <= 6.0 * deviation,
            "{new} of {calls}, {percent:?} percent"
        );
    }

    /// Reads an object, changes it and replaces all of it, as client-go's `Update` does: for the version
    /// that was read alone. Where somebody has written in between, here the status, both tools begin anew.
    fn update(&self, path: &str, change: impl Fn(&mut Value)) {
        until("the update is taken", || {
            let mut object = self.read(path);
            change(&mut object);
            let words = ["replace", "-f", "-"];
            let written = self.scene.cluster.kubectl_with(&words, &object.to_string());
            match written.map_err(|error| error.to_string()) {
                Ok(_) => true,
                Err(error) if error.contains("Conflict") => false,
                Err(error) => panic!("{error}"),
            }
        });
    }

    fn read(&self, path: &str) -> Value {
        self.scene.cluster.api().get(path).expect("an answer").expect("a route")
    }
}
