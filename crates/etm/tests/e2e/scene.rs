//! What a test starts from: a node, a cgroup, a folder of manifests and one for pins.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::{Command, Output};

use etm_abi::Counter;
use etm_dataplane::{Config, Dataplane, Flows, View};
use etm_model::{FrontendKey, Limits, Listener, Protocol as Transport, Step};
use etm_testkit::{
    Agent, AgentBuilder, BpfDir, Call, Caller, Cgroup, Language, Manifests, Node, Place, Pod,
    Protocol, Server, objects, require_root,
};
use serde_json::Value;

use etm_testkit::wait::until;

pub(crate) const LANGUAGES: [Language; 3] = [Language::Std, Language::Tokio, Language::Python];

/// `ECONNREFUSED`: what a refused caller sees.
pub(crate) const REFUSED: Option<i32> = Some(111);
/// `ENETUNREACH`: what a caller sees of an address that nothing handles, since no namespace has a
/// default route.
pub(crate) const UNHANDLED: Option<i32> = Some(101);

/// Addresses of the Service that most tests call.
pub(crate) const VIP4: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 96, 0, 10));
pub(crate) const VIP6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd00, 0x10, 0x96, 0, 0, 0, 0, 0x10));
pub(crate) const VIPS: [IpAddr; 2] = [VIP4, VIP6];

/// The Service's port, and that of its Pods, for TCP and for UDP.
pub(crate) const PORT: u16 = 80;
pub(crate) const POD_PORT: u16 = 8080;

/// A state of a backend's record that is neither free nor available.
pub(crate) const OUT: u8 = etm_abi::BACKEND_OUT;

pub(crate) struct Scene {
    pub(crate) node: Node,
    pub(crate) cgroup: Cgroup,
    pub(crate) pins: BpfDir,
    pub(crate) manifests: Manifests,
}

/// A Pod that serves; its server ends with it.
pub(crate) struct Backend {
    pub(crate) pod: Pod,
    _server: Server,
}

impl Backend {
    /// Ends its server; the Pod stays, and refuses from now on.
    pub(crate) fn refuse(self) -> Pod {
        self.pod
    }
}

impl Scene {
    pub(crate) fn new() -> Self {
        require_root().expect("privileges");
        Self {
            node: Node::new().expect("a node"),
            cgroup: Cgroup::new().expect("a cgroup"),
            pins: BpfDir::new().expect("a folder for pins"),
            manifests: Manifests::new().expect("a folder of manifests"),
        }
    }

    /// A Pod that serves [`POD_PORT`] over TCP and UDP.
    pub(crate) fn backend(&self, name: &str) -> Backend {
        self.backend_on(name, &[POD_PORT])
    }

    /// A Pod that serves some ports, each over TCP and UDP.
    pub(crate) fn backend_on(&self, name: &str, ports: &[u16]) -> Backend {
        let pod = self.node.pod(name).expect("a Pod");
        let server = pod.serve(ports, ports).expect("a server");
        Backend { pod, _server: server }
    }

    /// The Service `web` on [`VIPS`] with these Pods behind it, each in a file of its own.
    pub(crate) fn web(&self, names: &[&str]) -> Vec<Backend> {
        self.manifests.apply("web.yaml", &[web()]).expect("a manifest");
        let backends: Vec<_> = names.iter().map(|name| self.backend(name)).collect();
        for backend in &backends {
            self.declare(&backend.pod, true);
        }
        backends
    }

    /// Writes down a Pod of `web`.
    pub(crate) fn declare(&self, pod: &Pod, ready: bool) {
        let object = web_pod(pod).ready(ready);
        self.manifests.apply(&file_of(pod.name()), &[object]).expect("a manifest");
    }

    /// Takes a Pod's manifest away; the Pod itself goes on serving.
    pub(crate) fn withdraw(&self, name: &str) {
        self.manifests.remove(&file_of(name)).expect("a manifest");
    }

    /// A Pod that calls.
    pub(crate) fn client(&self) -> Pod {
        self.node.pod("client").expect("a Pod")
    }

    /// A Pod's network, covered by the agent.
    pub(crate) fn inside(&self, pod: &Pod) -> Place {
        pod.place().within(&self.cgroup)
    }

    /// A caller in a Pod, covered by the agent.
    pub(crate) fn caller(&self, pod: &Pod, protocol: Protocol) -> Caller {
        Caller::new(&self.inside(pod), protocol)
    }

    /// An agent on the node.
    pub(crate) fn agent(&self) -> AgentBuilder {
        self.agent_without_cgroup().cgroup(&self.cgroup)
    }

    /// An agent on the node that still has to be told its cgroup.
    pub(crate) fn agent_without_cgroup(&self) -> AgentBuilder {
        Agent::of(ETM)
            .node("node-a")
            .manifests(self.manifests.path())
            .pin(self.pin())
            .place(&self.node.place())
    }

    /// Where the agent pins: below the scratch folder, so that it makes and removes its own.
    pub(crate) fn pin(&self) -> std::path::PathBuf {
        self.pins.path().join("etm")
    }

    /// Starts an agent.
    pub(crate) fn start(&self) -> Agent {
        self.agent().start().expect("an agent")
    }

    /// Runs `etm VERB... --pin PIN`.
    pub(crate) fn etm(&self, words: &[&str]) -> Output {
        let mut command = Command::new(ETM);
        command.args(words).arg("--pin").arg(self.pin());
        command.output().expect("etm runs")
    }

    /// What `etm get WHAT` has, as rows of JSON.
    pub(crate) fn get(&self, what: &str) -> Vec<Value> {
        let output = self.etm(&["get", what, "-o", "json"]);
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).expect("rows of JSON")
    }

    /// How many backends a frontend of the kernel's maps leads to; none where it is not there.
    pub(crate) fn members(&self, address: SocketAddr, protocol: Transport) -> Option<u32> {
        let contents = View::open(&self.pin()).expect("maps").contents().expect("contents");
        let listener = Listener::Port(address.port(), protocol);
        let frontend = contents.frontends.get(&FrontendKey { ip: address.ip(), listener })?;
        Some(frontend.members)
    }

    /// Waits until every frontend of the Service `web` leads to so many backends.
    #[track_caller]
    pub(crate) fn until_web_has(&self, members: u32) {
        for ip in VIPS {
            for protocol in [Transport::Tcp, Transport::Udp] {
                until(&format!("{ip} has {members} backends"), || {
                    self.members(SocketAddr::new(ip, PORT), protocol) == Some(members)
                });
            }
        }
    }

    /// Writes steps of our own into the maps, by hand: no agent may run.
    pub(crate) fn write(&self, steps: &[Step]) {
        let mut dataplane = Dataplane::open(Config {
            cgroup: self.cgroup.path().to_owned(),
            pin: self.pin(),
            // The defaults of the agent's flags: other sizes would make maps of their own.
            limits: Limits { frontends: 65_536, backends: 131_072, slots: 524_288, routes: 16_384 },
            clients: 65_536,
            refuse_unknown_port: false,
            node_netns: 0,
        })
        .expect("the pinned maps");
        dataplane.apply(steps).expect("writes");
    }

    /// Writes another state into the records of a Pod, as nobody does yet but a test, and says how
    /// many it has: no agent may run.
    pub(crate) fn set_state(&self, pod: &str, state: u8) -> usize {
        let contents = View::open(&self.pin()).expect("maps").contents().expect("contents");
        let name = format!("default/{pod}");
        let named = contents.backend_names.iter().filter(|(_, known)| **known == name);
        let steps: Vec<Step> = named
            .map(|(id, _)| {
                let backend = etm_abi::Backend { state, ..contents.backends[id] };
                Step::SetBackend { id: *id, backend }
            })
            .collect();
        self.write(&steps);
        steps.len()
    }

    /// The kernel's records of connected sockets.
    pub(crate) fn flows(&self) -> Flows {
        View::open(&self.pin()).expect("maps").flows().expect("flows")
    }

    /// The kernel's counters.
    pub(crate) fn counters(&self) -> BTreeMap<Counter, u64> {
        let view = View::open(&self.pin()).expect("maps");
        view.counters().expect("counters").into_iter().collect()
    }
}

pub(crate) const ETM: &str = env!("CARGO_BIN_EXE_etm");

/// The Service `web`: [`PORT`] to [`POD_PORT`] over TCP and UDP.
pub(crate) fn web() -> objects::Service {
    objects::Service::new("web", &VIPS)
        .port("http", "TCP", PORT, POD_PORT)
        .port("echo", "UDP", PORT, POD_PORT)
        .selector("app", "web")
}

/// A Pod that `web` selects.
pub(crate) fn web_pod(pod: &Pod) -> objects::Pod {
    objects::Pod::of(pod).label("app", "web")
}

fn file_of(pod: &str) -> String {
    format!("pod-{pod}.yaml")
}

/// An address as people write it, without the IPv4-mapped form.
pub(crate) fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// A call was answered by a Pod that sees the caller itself, while the caller sees the Service.
#[track_caller]
pub(crate) fn assert_served(call: &Call, client: &Pod) {
    assert_eq!((call.errno, &call.error), (None, &None), "{call:?}");
    let shown = call.peer.or(call.source).map(plain);
    assert_eq!(shown, Some(call.target), "the caller sees the Service: {call:?}");
    if let Some(source) = call.source {
        assert_eq!(plain(source), call.target, "replies come from the Service: {call:?}");
    }
    let answer = call.answer.as_ref().expect("an answer");
    let seen = answer.peer.ip();
    assert!(seen == client.ipv4() || seen == client.ipv6(), "no NAT on the way: {call:?}");
    assert_eq!(seen.is_ipv4(), call.target.is_ipv4(), "{call:?}");
}
