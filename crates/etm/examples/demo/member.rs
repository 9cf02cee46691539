//! A node of a real cluster, with an agent on it.

use std::{net::SocketAddr, path::Path, process::Command};

use etm_testkit::{Agent, BpfDir, CgroupDriver, ControlPlane, Fabric, HollowNode, binary};
use serde_json::Value;
use tempfile::TempDir;

use crate::stage::output;

/// The node and its agent, which ends first.
pub(crate) struct Member {
    _agent: Agent,
    node: HollowNode,
    pins: BpfDir,
    outcomes: SocketAddr,
    _state: TempDir,
}

/// Where agents answer the controller.
const OUTCOMES: u16 = 9443;

impl Member {
    /// Registers a node, and starts an agent on it.
    pub(crate) fn join(
        cluster: &ControlPlane,
        fabric: &Fabric,
        name: &str,
        driver: CgroupDriver,
        certificate: &Path,
    ) -> anyhow::Result<Self> {
        let node = HollowNode::builder(cluster, name).zone(name).driver(driver).fabric(fabric);
        let node = node.start()?;
        let outcomes = SocketAddr::new(node.node().ipv4().into(), OUTCOMES);
        let (pins, state) = (BpfDir::new()?, tempfile::tempdir()?);
        let agent = Agent::of(binary("etm")?)
            .on(cluster, &node)
            .pin(pins.path().join("etm"))
            .arg("--state")
            .arg(state.path())
            .arg("--outcomes")
            .arg(outcomes.to_string())
            .arg("--outcomes-tls")
            .arg(certificate)
            .start()?;
        Ok(Self { _agent: agent, node, pins, outcomes, _state: state })
    }

    pub(crate) fn name(&self) -> &str {
        self.node.name()
    }

    pub(crate) fn node(&self) -> &HollowNode {
        &self.node
    }

    /// Where its agent answers the controller.
    pub(crate) fn outcomes(&self) -> SocketAddr {
        self.outcomes
    }

    /// What `etm get WHAT` shows of this node.
    pub(crate) fn get(&self, what: &str) -> anyhow::Result<Value> {
        let mut command = Command::new(binary("etm")?);
        command.args(["get", what, "-o", "json", "--pin"]).arg(self.pins.path().join("etm"));
        Ok(serde_json::from_str(&output(command)?)?)
    }

    /// How many backends an address of a Service has here; none where it is not in the maps.
    pub(crate) fn backends(&self, address: SocketAddr) -> anyhow::Result<Option<u64>> {
        let rows = self.get("services")?;
        let shown = address.to_string();
        let mut rows = rows.as_array().into_iter().flatten();
        let row = rows.find(|row| row["address"] == shown.as_str());
        Ok(row.and_then(|row| row["backends"].as_u64()))
    }
}
