//! Services as kube-proxy has them in its two netfilter modes, in a namespace of their own.

mod iptables;
mod nftables;

use std::{io::Write as _, process::Stdio};

use anyhow::{Context as _, ensure};
use etm_testkit::Pod;

use crate::cluster::Cluster;

/// The Pod network, whose callers are not masqueraded.
const POD_NETWORK: &str = "10.244.0.0/16";

/// Where Services live; the only destination beside the Pod network that is routed, on the link.
const SERVICE_NETWORK: &str = "10.96.0.0/16";

/// kube-proxy's default mark for connections to be masqueraded.
const MASQUERADE: &str = "0x4000";

/// Loads the rules of kube-proxy's nftables mode into a client's namespace.
pub(crate) fn load_nftables(client: &Pod, cluster: &Cluster) -> anyhow::Result<()> {
    load(client, &["nft", "--file", "-"], &nftables::ruleset(cluster))
}

/// Loads the rules of kube-proxy's iptables mode into a client's namespace, for the older of the two
/// backends, which is the quicker one.
pub(crate) fn load_iptables(client: &Pod, cluster: &Cluster) -> anyhow::Result<()> {
    load(client, &["iptables-legacy-restore"], &iptables::ruleset(cluster))
}

fn load(client: &Pod, command: &[&str], ruleset: &str) -> anyhow::Result<()> {
    client.namespace().ip(&format!("route add {SERVICE_NETWORK} dev eth0\n"))?;
    let mut child = client
        .command(command[0])
        .args(&command[1..])
        .stdin(Stdio::piped())
        .spawn()
        .with_context(|| format!("run {}", command[0]))?;
    // Dropped at the end of the statement, or it would wait for more.
    child.stdin.take().context("no stdin")?.write_all(ruleset.as_bytes())?;
    let status = child.wait()?;
    ensure!(status.success(), "{} ended with {status}", command[0]);
    Ok(())
}
