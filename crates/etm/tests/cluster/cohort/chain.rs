//! Three Services, of which each Pod of one asks the next, and callers of the first.

use std::net::SocketAddr;
use std::process::Command;

use etm_model::{CallerShare, hash};
use etm_testkit::wait::{until, until_some};
use etm_testkit::{Agent, Caller, CgroupDriver};
use serde_json::{Value, json};

use super::load::{Load, Seen};
use crate::scene::{Scene, caller, container, kinds};

/// Callers of the first Service, each a Pod of its own.
pub(super) const CLIENTS: usize = 16;
/// The Services, in the order in which a request passes them.
const SERVICES: [&str; 3] = ["front", "cart", "stock"];
/// Each version has a Pod on each node.
const NODES: usize = 2;

const ETM: &str = env!("CARGO_BIN_EXE_etm");

pub(super) struct Chain {
    pub(super) scene: Scene,
    /// Where a request enters.
    pub(super) front: SocketAddr,
    addresses: Vec<SocketAddr>,
    _controller: Agent,
}

impl Chain {
    /// With the Pods of version 1, the callers and a controller.
    pub(super) fn start() -> Self {
        kinds();
        let scene = Scene::new(&[CgroupDriver::Systemd, CgroupDriver::Cgroupfs]);
        for name in SERVICES {
            // That of one has both versions, which labels tell apart.
            let selector = match name {
                "stock" => json!({"app": name}),
                _ => json!({"app": name, "version": "v1"}),
            };
            scene.apply(&[service(name, &selector)]);
            for version in ["v1", "v2"] {
                let selector = json!({"app": name, "version": version});
                scene.apply(&[service(&format!("{name}-{version}"), &selector)]);
            }
        }
        let addresses: Vec<_> = SERVICES.map(|name| scene.addresses_of(name)[0]).into();
        let controller = Agent::of(ETM)
            .verb("controller")
            .arg("--kubeconfig")
            .arg(scene.cluster.kubeconfig())
            .arg("--namespace")
            .arg(&scene.namespace)
            .start()
            .expect("a controller");
        let front = addresses[0];
        let chain = Self { scene, front, addresses, _controller: controller };
        chain.deploy("v1");
        for number in 0..CLIENTS {
            let spec = json!({"containers": [container("main", 9000)]});
            chain.pod(&client(number), number, &json!({"app": "client"}), spec);
        }
        chain
    }

    /// Makes the Pods of a version, and waits until all nodes know them.
    pub(super) fn deploy(&self, version: &str) {
        for service in SERVICES {
            for number in 0..NODES {
                self.member(service, version, number);
            }
        }
        for service in SERVICES {
            let address = self.scene.addresses_of(&format!("{service}-{version}"))[0];
            until(&format!("all nodes know {service} {version}"), || {
                let mut nodes = self.scene.nodes.iter();
                nodes.all(|node| node.members(address) == Some(NODES as u64))
            });
        }
    }

    /// One more Pod of a version of a Service, which asks the next Service.
    pub(super) fn member(&self, service: &str, version: &str, number: usize) {
        let mut main = container("main", 8080);
        let place = SERVICES.iter().position(|name| *name == service).expect("a Service");
        if let Some(next) = self.addresses.get(place + 1) {
            main["env"] = json!([{"name": "RELAY", "value": next.to_string()}]);
        }
        let labels = json!({"app": service, "version": version});
        let spec = json!({"containers": [main]});
        self.pod(&format!("{service}-{version}-{number}"), number, &labels, spec);
    }

    fn pod(&self, name: &str, number: usize, labels: &Value, mut spec: Value) {
        let node = &self.scene.nodes[number % NODES].node;
        spec["nodeName"] = json!(node.name());
        let mut pod = self.scene.pod(name, &spec);
        pod["metadata"]["labels"] = labels.clone();
        self.scene.apply(&[pod]);
        node.pod(&self.scene.namespace, name).expect("a Pod");
    }

    /// Makes a release of all three Services.
    pub(super) fn release(&self, name: &str, strategy: &Value) {
        let services = SERVICES.map(|service| {
            let version = |version: &str| match service {
                "stock" => json!({"labels": {"version": version}}),
                _ => json!({"service": format!("{service}-{version}")}),
            };
            json!({"service": service, "stable": version("v1"), "new": version("v2")})
        });
        self.scene.apply(&[json!({
            "apiVersion": "etm.dev/v1alpha1",
            "kind": "Release",
            "metadata": {"name": name},
            "spec": {"services": services, "strategy": strategy},
        })]);
    }

    pub(super) fn until_status(&self, name: &str, what: &str, is: impl Fn(&Value) -> bool) {
        let namespace = &self.scene.namespace;
        let path = format!("/apis/etm.dev/v1alpha1/namespaces/{namespace}/releases/{name}");
        until_some(&format!("release {name} {what}"), || {
            let release = self.scene.cluster.api().get(&path).expect("an answer")?;
            is(&release["status"]).then_some(())
        });
    }

    /// Has all clients call while a release begins and `then` goes on. At first the new version is made
    /// meanwhile; else requests begin once every node keeps them at their version.
    pub(super) fn under_load(
        &self,
        release: &str,
        at_first: bool,
        then: impl FnOnce(&Load<'_>),
    ) -> Seen {
        if at_first {
            self.until_status(release, "waits", |status| status["traffic"] == "Stable");
        } else {
            self.until_routed();
        }
        Load::run(self, release, |load| {
            if at_first {
                load.until_made(200);
                self.deploy("v2");
            }
            then(load);
        })
    }

    /// Ends a release.
    pub(super) fn end(&self, release: &str) {
        let namespace = &self.scene.namespace;
        let path = format!("/apis/etm.dev/v1alpha1/namespaces/{namespace}/releases/{release}");
        self.scene.cluster.api().delete(&path).expect("no release");
    }

    /// Waits until every node routes all three Services.
    fn until_routed(&self) {
        for node in &self.scene.nodes {
            until("all Services are routed", || {
                let rows = node.get("routes");
                self.addresses.iter().all(|address| {
                    let shown = address.to_string();
                    rows.iter().any(|row| row["address"] == shown.as_str())
                })
            });
        }
    }

    /// Runs `etm release VERB`.
    pub(super) fn ask(&self, verb: &str, name: &str) {
        let output = Command::new(ETM)
            .args(["release", verb, &format!("{}/{name}", self.scene.namespace), "--kubeconfig"])
            .arg(self.scene.cluster.kubeconfig())
            .output()
            .expect("an answer");
        assert!(output.status.success(), "{verb}: {output:?}");
    }

    /// A caller in a client's container.
    pub(super) fn caller(&self, number: usize) -> Caller {
        let node = &self.scene.nodes[number % NODES].node;
        let pod = node.pod(&self.scene.namespace, &client(number)).expect("a Pod");
        caller(&pod, "main")
    }

    /// Whether a release of this name leads a client to the new version at so many percent.
    pub(super) fn is_chosen(&self, release: &str, percent: u32, number: usize) -> bool {
        let namespace = &self.scene.namespace;
        let salt = hash(&format!("{namespace}/{release}"));
        let share = CallerShare { parts: percent * (CallerShare::WHOLE / 100), salt };
        share.has(&format!("{namespace}/{}", client(number)))
    }
}

fn client(number: usize) -> String {
    format!("client-{number}")
}

fn service(name: &str, selector: &Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": selector, "ports": [{"port": 80, "targetPort": "http"}]},
    })
}
