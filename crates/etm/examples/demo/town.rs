//! A real Kubernetes with two nodes: an agent on each, and the controller that runs releases.

use std::{
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use etm_testkit::{Agent, Caller, CgroupDriver, ControlPlane, Fabric, HollowPod, Protocol, binary};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    member::Member,
    screen::{fact, time},
    stage::wait_for,
};

/// The definitions of etm's own kinds.
const KINDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/kustomize/crds");

/// Port of the Services.
pub(crate) const PORT: u16 = 80;
/// Port of their Pods.
pub(crate) const POD_PORT: u16 = 8080;

/// Dropped in this order: first what uses, then what is used.
pub(crate) struct Town {
    _controller: Agent,
    pub(crate) members: Vec<Member>,
    _fabric: Fabric,
    pub(crate) cluster: ControlPlane,
    _certificate: TempDir,
}

impl Town {
    /// Starts all of it.
    pub(crate) fn found() -> anyhow::Result<Self> {
        let begun = Instant::now();
        let cluster = ControlPlane::builder().controllers().start()?;
        cluster.kubectl(&["apply", "--server-side", "-f", KINDS])?;
        let waiting = ["wait", "--for=condition=Established", "--timeout=60s", "-f", KINDS];
        cluster.kubectl(&waiting)?;
        fact("the control plane is up after", time(begun.elapsed()));
        let certificate = tempfile::tempdir()?;
        etm_testkit::certificate(certificate.path(), etm_outcomes::NAME)?;
        let fabric = Fabric::new()?;
        let members = [("east", CgroupDriver::Systemd), ("west", CgroupDriver::Cgroupfs)];
        let members = members.map(|(name, driver)| {
            Member::join(&cluster, &fabric, name, driver, certificate.path())
        });
        let members: Vec<Member> = members.into_iter().collect::<Result<_, _>>()?;
        let controller = control(&cluster, &members, certificate.path())?;
        Ok(Self {
            _controller: controller,
            members,
            _fabric: fabric,
            cluster,
            _certificate: certificate,
        })
    }

    /// Makes objects be so.
    pub(crate) fn apply(&self, namespace: &str, objects: &[Value]) -> anyhow::Result<()> {
        Ok(self.cluster.api().apply(namespace, objects)?)
    }

    /// Where a Service is reached.
    pub(crate) fn service(&self, namespace: &str, name: &str) -> anyhow::Result<SocketAddr> {
        let path = format!("/api/v1/namespaces/{namespace}/services/{name}");
        let made = self.cluster.api().get(&path)?.context("no Service was made")?;
        let address = made["spec"]["clusterIP"].as_str().context("it has no address")?;
        Ok(format!("{address}:{PORT}").parse()?)
    }

    /// Waits until every node leads each of these addresses to so many Pods; gives how long since.
    pub(crate) fn until_backends(
        &self,
        wanted: &[(SocketAddr, u64)],
        since: Instant,
    ) -> anyhow::Result<Duration> {
        let ((), took) = wait_for("the backends on both nodes", since, || {
            for member in &self.members {
                for (address, backends) in wanted {
                    if member.backends(*address)? != Some(*backends) {
                        return Ok(None);
                    }
                }
            }
            Ok(Some(()))
        })?;
        Ok(took)
    }

    /// The Pods of a namespace with a label `app`, on all nodes.
    pub(crate) fn pods(&self, namespace: &str, app: &str) -> Vec<HollowPod> {
        let pods = self.members.iter().flat_map(|member| member.node().pods());
        let prefix = format!("{app}-");
        let own = pods.filter(|pod| pod.namespace == namespace && pod.name.starts_with(&prefix));
        own.collect()
    }

    /// A caller in the container of a Pod.
    pub(crate) fn caller(&self, pod: &HollowPod) -> anyhow::Result<Caller> {
        let container = pod.container("main").context("the Pod does not run")?;
        Ok(Caller::new(&container.place, Protocol::Tcp))
    }

    /// Status of a release.
    pub(crate) fn release(&self, namespace: &str, name: &str) -> anyhow::Result<Value> {
        let path = format!("/apis/etm.dev/v1alpha1/namespaces/{namespace}/releases/{name}");
        let release = self.cluster.api().get(&path)?.context("the release is gone")?;
        Ok(release["status"].clone())
    }

    /// Waits until a release is in a phase; one that led back instead is an error with its words.
    pub(crate) fn until_phase(
        &self,
        (namespace, name): (&str, &str),
        phase: &str,
        since: Instant,
    ) -> anyhow::Result<(Value, Duration)> {
        wait_for(&format!("phase {phase} of release {name}"), since, || {
            let status = self.release(namespace, name)?;
            let is = status["phase"].as_str().unwrap_or_default();
            if is != phase && is == "RolledBack" {
                bail!("release {name} went back: {}", status["message"]);
            }
            Ok((is == phase).then_some(status))
        })
    }
}

/// The controller, on the first node, which reaches the agents of both.
fn control(
    cluster: &ControlPlane,
    members: &[Member],
    certificate: &Path,
) -> anyhow::Result<Agent> {
    let agents: Vec<_> = members.iter().map(|member| member.outcomes().to_string()).collect();
    let first = members.first().context("there is no node")?;
    let controller = Agent::of(binary("etm")?)
        .verb("controller")
        .place(&first.node().node().place())
        .arg("--kubeconfig")
        .arg(cluster.kubeconfig())
        .arg("--namespace")
        .arg("default")
        .arg("--outcomes-tls")
        .arg(certificate)
        .arg("--agents")
        .arg(agents.join(","));
    Ok(controller.start()?)
}

/// A Service that selects Pods by these labels.
pub(crate) fn service(name: &str, labels: &Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": labels, "ports": [{"port": PORT, "targetPort": POD_PORT}]},
    })
}

/// A Deployment whose Pods have these labels; they listen on their port, or refuse.
pub(crate) fn deployment(name: &str, labels: &Value, replicas: u32, listens: bool) -> Value {
    let mut container = json!({"name": "main", "image": "example.org/web"});
    if listens {
        container["ports"] = json!([{"name": "http", "containerPort": POD_PORT}]);
    }
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    })
}

/// A Release of Services with these versions.
pub(crate) fn release(name: &str, services: &Value, strategy: &Value, analysis: &Value) -> Value {
    let mut release = json!({
        "apiVersion": "etm.dev/v1alpha1",
        "kind": "Release",
        "metadata": {"name": name},
        "spec": {"services": services, "strategy": strategy},
    });
    if !analysis.is_null() {
        release["spec"]["analysis"] = analysis.clone();
    }
    release
}
