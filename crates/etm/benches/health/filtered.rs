//! Callers whose Service is nftables', as kube-proxy writes its rules.

#[path = "../datapath/netfilter/nftables.rs"]
mod nftables;

use std::{io::Write as _, net::Ipv4Addr, process::Stdio};

use anyhow::{Context as _, ensure};
use etm_testkit::{Node, Pod};

use crate::{
    caller::Plan,
    cluster::Cluster,
    stage::{CALLING, Calling},
};

/// The Pod network, whose callers are not masqueraded.
const POD_NETWORK: &str = "10.244.0.0/16";

/// Where Services live.
const SERVICE_NETWORK: &str = "10.96.0.0/16";

/// kube-proxy's default mark for connections to be masqueraded.
const MASQUERADE: &str = "0x4000";

/// Pods that call, each with the rules in its own network.
pub(crate) struct Filtered(Vec<Pod>);

impl Filtered {
    /// Makes them, with these Pods behind the Service.
    pub(crate) fn start(node: &Node, endpoints: &[Ipv4Addr]) -> anyhow::Result<Self> {
        let callers = (0..CALLING).map(|number| node.pod(&format!("nftables-{number}")));
        let filtered = Self(callers.collect::<Result<_, _>>()?);
        for caller in &filtered.0 {
            caller.namespace().ip(&format!("route add {SERVICE_NETWORK} dev eth0\n"))?;
        }
        filtered.load("", endpoints)?;
        Ok(filtered)
    }

    /// Leads the Service to these Pods from now on.
    pub(crate) fn lead_to(&self, endpoints: &[Ipv4Addr]) -> anyhow::Result<()> {
        self.load("delete table ip kube-proxy\n", endpoints)
    }

    /// Has every Pod call by a plan.
    pub(crate) fn call(&self, plan: &Plan) -> anyhow::Result<Vec<Calling>> {
        self.0
            .iter()
            .map(|pod| Calling::start(|program| pod.place().command(program), plan))
            .collect()
    }

    fn load(&self, before: &str, endpoints: &[Ipv4Addr]) -> anyhow::Result<()> {
        let rules = nftables::ruleset(&Cluster::new(endpoints.to_vec()));
        for caller in &self.0 {
            let mut nft = caller.command("nft");
            let mut child = nft.args(["--file", "-"]).stdin(Stdio::piped()).spawn()?;
            let mut stdin = child.stdin.take().context("no stdin")?;
            stdin.write_all(before.as_bytes())?;
            stdin.write_all(rules.as_bytes())?;
            // Or nft would wait for more.
            drop(stdin);
            let status = child.wait()?;
            ensure!(status.success(), "nft ended with {status}");
        }
        Ok(())
    }
}
