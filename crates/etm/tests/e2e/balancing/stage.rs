//! The Service `web` with a policy, its Pods, and a crowd that calls it.

use std::net::{IpAddr, SocketAddr};

use etm_abi::{Balancing, FRONTEND_BALANCED};
use etm_dataplane::View;
use etm_model::{Contents, FrontendKey, Listener, Protocol as Transport};
pub(crate) use etm_testkit::objects::consistent_hash as hash;
use etm_testkit::{Agent, AgentBuilder, Caller, Pod, Protocol, objects};
use serde_json::{Value, json};

use super::crowd::{self, Crowd};
use crate::scene::{Backend, POD_PORT, PORT, Scene, VIP4, VIPS, web, web_pod};
use etm_testkit::wait::until;

/// The Service's second port, and that of its Pods.
pub(crate) const SECOND: u16 = 81;
const SECOND_POD_PORT: u16 = 8081;

/// Where most calls go.
pub(crate) const TARGET: SocketAddr = SocketAddr::new(VIP4, PORT);

pub(crate) struct Stage {
    pub(crate) scene: Scene,
    pub(crate) backends: Vec<Backend>,
    pub(crate) client: Pod,
    pub(crate) crowd: Crowd,
    pub(crate) agent: Option<Agent>,
}

impl Stage {
    /// So many Pods and callers; the policy is there before the agent.
    pub(crate) fn new(pods: usize, callers: u32, load_balancing: Value) -> Self {
        Self::prepared(pods, callers, |scene| set_policy(scene, load_balancing), |agent| agent)
    }

    /// With whatever else is to be there before the agent, and options of the agent.
    pub(crate) fn prepared(
        pods: usize,
        callers: u32,
        prepare: impl FnOnce(&Scene),
        agent: impl FnOnce(AgentBuilder) -> AgentBuilder,
    ) -> Self {
        let scene = Scene::new();
        scene.manifests.apply("web.yaml", &[service()]).expect("a manifest");
        let serve = |number| scene.backend_on(&pod_name(number), &[POD_PORT, SECOND_POD_PORT]);
        let backends: Vec<_> = (0..pods).map(serve).collect();
        for backend in &backends {
            scene.declare(&backend.pod, true);
        }
        crowd::declare(&scene, callers);
        prepare(&scene);
        let client = scene.client();
        let crowd = Crowd::new(&scene.cgroup, &client, callers);
        let agent = Some(agent(scene.agent()).start().expect("an agent"));
        crowd.until_known(&scene.pin());
        Self { scene, backends, client, crowd, agent }
    }

    /// One more Pod, which is not declared yet.
    pub(crate) fn another(&mut self) -> &Backend {
        let name = pod_name(self.backends.len());
        self.backends.push(self.scene.backend_on(&name, &[POD_PORT, SECOND_POD_PORT]));
        &self.backends[self.backends.len() - 1]
    }

    /// The Pod of a name.
    pub(crate) fn pod(&self, name: &str) -> &Pod {
        let mut pods = self.backends.iter().map(|backend| &backend.pod);
        pods.find(|pod| pod.name() == name).expect("a Pod")
    }

    /// Says whether a Pod is there, and waits until every frontend has so many.
    #[track_caller]
    pub(crate) fn declare(&self, name: &str, there: bool, members: u32) {
        if there {
            self.scene.declare(self.pod(name), true);
        } else {
            self.scene.withdraw(name);
        }
        self.until_members(members);
    }

    /// Waits until every frontend leads to so many Pods.
    #[track_caller]
    pub(crate) fn until_members(&self, members: u32) {
        until(&format!("every frontend has {members} Pods"), || {
            self.contents().frontends.values().all(|frontend| frontend.members == members)
        });
    }

    /// Waits until every frontend is balanced in a certain way; by nothing where it is not.
    #[track_caller]
    pub(crate) fn until_balanced(&self, how: impl Fn(Option<&Balancing>) -> bool) {
        until("every frontend is balanced otherwise", || {
            let contents = self.contents();
            contents.frontends.values().all(|frontend| {
                let balanced = frontend.flags & FRONTEND_BALANCED != 0;
                let header = contents.balances.get(&frontend.table).map(|balance| &balance.header);
                how(header.filter(|_| balanced))
            })
        });
    }

    /// What the maps hold.
    pub(crate) fn contents(&self) -> Contents {
        View::open(&self.scene.pin()).expect("maps").contents().expect("contents")
    }

    /// Ends the agent, then starts another one.
    pub(crate) fn restart(&mut self) -> String {
        self.stop();
        let agent = self.scene.start();
        let line = agent.ready_line().to_owned();
        self.agent = Some(agent);
        self.crowd.until_known(&self.scene.pin());
        line
    }

    /// Ends the agent.
    pub(crate) fn stop(&mut self) {
        self.agent.take().expect("an agent").stop().expect("an end");
    }

    /// A process of the node.
    pub(crate) fn node(&self, protocol: Protocol) -> Caller {
        Caller::new(&self.scene.node.place().within(&self.scene.cgroup), protocol)
    }
}

/// The Service `web` with two ports, which lead to different ones of its Pods.
pub(crate) fn service() -> objects::Service {
    web().port("second", "TCP", SECOND, SECOND_POD_PORT).port(
        "second-echo",
        "UDP",
        SECOND,
        SECOND_POD_PORT,
    )
}

/// The policy of `web`.
pub(crate) fn policy(load_balancing: impl Into<Value>) -> Value {
    objects::TrafficPolicy::new("web", load_balancing).into()
}

/// Writes it down.
pub(crate) fn set_policy(scene: &Scene, load_balancing: Value) {
    scene.manifests.apply("policy.yaml", &[policy(load_balancing)]).expect("a manifest");
}

/// Declares a Pod of `web` with a weight.
pub(crate) fn declare_weighted(scene: &Scene, pod: &Pod, weight: &str) {
    let object = web_pod(pod).set("metadata.annotations", json!({"etm.dev/weight": weight}));
    let file = format!("pod-{}.yaml", pod.name());
    scene.manifests.apply(&file, &[object]).expect("a manifest");
}

pub(crate) fn pod_name(number: usize) -> String {
    format!("web-{number}")
}

/// Every address and port of the Service.
pub(crate) fn targets() -> impl Iterator<Item = SocketAddr> {
    VIPS.into_iter().flat_map(|ip| [PORT, SECOND].map(|port| SocketAddr::new(ip, port)))
}

/// A frontend of the maps.
pub(crate) fn key(ip: IpAddr, port: u16, protocol: Transport) -> FrontendKey {
    FrontendKey { ip, listener: Listener::Port(port, protocol) }
}
