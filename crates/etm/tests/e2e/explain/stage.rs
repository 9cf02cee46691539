//! The Service `web`, its Pods, and callers that an agent knows.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::Output;

use etm_testkit::wait::until;
use etm_testkit::{Agent, Caller, Cgroup, Pod, Protocol, objects};
use serde_json::Value;

use crate::scene::{Backend, OUT, POD_PORT, Scene};

/// The policy of the Service `web`: a hash of these fields.
pub(super) fn hashed(fields: &[&str]) -> Value {
    objects::TrafficPolicy::new("web", objects::consistent_hash(fields)).into()
}

/// A Pod that calls: its cgroup, and addresses that only the manifests know.
pub(super) struct Client {
    pub(super) name: String,
    pub(super) cgroup: Cgroup,
}

impl Client {
    pub(super) fn new(scene: &Scene, kubepods: &Cgroup, number: u16) -> Self {
        let name = format!("caller-{number}");
        let uid = format!("{number:08x}-63a2-4d3f-9d5e-8f1b7c2d3e4f");
        let cgroup = kubepods.child(&format!("pod{uid}")).expect("a cgroup");
        let [_, low] = number.to_be_bytes();
        let ips = [
            IpAddr::from(Ipv4Addr::new(10, 250, 0, low)),
            Ipv6Addr::new(0xfd00, 0x250, 0, 0, 0, 0, 0, number).into(),
        ];
        let object = objects::Pod::new(&name, &ips).set("metadata.uid", uid);
        scene.manifests.apply(&format!("{name}.yaml"), &[object]).expect("a manifest");
        Self { name, cgroup }
    }

    /// Its calls, from the network of any Pod: who it is only its cgroup tells.
    pub(super) fn caller(&self, from: &Pod, protocol: Protocol) -> Caller {
        Caller::new(&from.place().within(&self.cgroup), protocol)
    }

    /// Id of its cgroup, as `etm get callers` shows it.
    pub(super) fn cgroup_id(&self, scene: &Scene) -> u64 {
        let name = format!("default/{}", self.name);
        let rows = scene.get("callers");
        let row = rows.iter().find(|row| row["pod"] == name.as_str()).expect("the caller");
        row["cgroupId"].as_u64().expect("an id")
    }
}

/// The Service `web` with Pods of these names and a policy, and callers that the agent knows.
pub(super) struct Stage {
    pub(super) pods: Vec<Backend>,
    pub(super) clients: Vec<Client>,
    /// Above the clients' own, so it goes after them.
    pub(super) _kubepods: Cgroup,
    pub(super) from: Pod,
    pub(super) agent: Option<Agent>,
    pub(super) scene: Scene,
}

impl Stage {
    pub(super) fn new(pods: usize, clients: u16, objects: &[Value]) -> Self {
        let scene = Scene::new();
        let names: Vec<_> = (0..pods).map(|number| format!("web-{number}")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let pods = scene.web(&names);
        let kubepods = scene.cgroup.child("kubepods").expect("a cgroup");
        let clients = (1..=clients).map(|number| Client::new(&scene, &kubepods, number));
        let clients: Vec<_> = clients.collect();
        scene.manifests.apply("more.yaml", objects).expect("a manifest");
        let from = scene.client();
        let agent = scene.start();
        until("every caller is known", || {
            let rows = scene.get("callers");
            let known: BTreeSet<_> = rows.iter().filter_map(|row| row["pod"].as_str()).collect();
            let name = |client: &Client| format!("default/{}", client.name);
            clients.iter().all(|client| known.contains(name(client).as_str()))
        });
        Self { scene, pods, clients, _kubepods: kubepods, from, agent: Some(agent) }
    }

    /// Ends the agent and writes another state into the records of these Pods, by hand.
    pub(super) fn take_out(&mut self, names: &[&str]) {
        if let Some(agent) = self.agent.take() {
            agent.stop().expect("an end");
        }
        for name in names {
            assert_eq!(self.scene.set_state(name, OUT), 4, "TCP and UDP, both families");
        }
    }

    pub(super) fn explain(&self, words: &[&str]) -> Output {
        self.scene.etm(&[&["explain"], words].concat())
    }

    /// The lines for people.
    #[track_caller]
    pub(super) fn lines(&self, words: &[&str]) -> Vec<String> {
        let output = self.explain(words);
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).expect("text");
        text.lines().map(str::to_owned).collect()
    }

    #[track_caller]
    pub(super) fn json(&self, words: &[&str]) -> Value {
        let output = self.explain(&[words, &["-o", "json"]].concat());
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// The error of a question that has no answer.
    #[track_caller]
    pub(super) fn error(&self, words: &[&str]) -> String {
        let output = self.explain(words);
        assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
        String::from_utf8(output.stderr).expect("text").trim_end().to_owned()
    }

    pub(super) fn at(&self, pod: usize) -> [SocketAddr; 2] {
        self.pods[pod].pod.at(POD_PORT)
    }
}
