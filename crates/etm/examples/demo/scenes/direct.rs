//! Direct connections: nothing is between the caller and the Pod.

use std::{
    io::Write as _,
    net::SocketAddr,
    process::{Command, Stdio},
};

use anyhow::{Context as _, bail};
use etm_model::Protocol;
use etm_testkit::{Caller, Pod};

use super::Scene;
use crate::{
    report::Report,
    screen::{fact, note},
    stage::{Stage, output},
};

pub(super) const SCENE: Scene = Scene {
    name: "direct",
    title: "Connections are direct",
    about: "A client connects to the address of Service cart. Its own calls show the Service, as they\n\
            must; the kernel's socket leads to the Pod itself, and no packet is translated.",
    play,
};

fn play(stage: &mut Stage, report: &mut Report) -> anyhow::Result<()> {
    let service = stage.service("cart", Protocol::Tcp)?;
    let mut session = stage.caller(etm_testkit::Protocol::Tcp).keep_open().session(service)?;
    let call = session.call()?;
    let Some(answer) = &call.answer else { bail!("no answer: {call:?}") };
    let (local, peer) = (call.local.context("getsockname")?, call.peer.context("getpeername")?);
    let remote = socket_of(&stage.client, local)?;
    fact("the client connected to", service);
    fact("getpeername() in the client", peer);
    fact("the kernel's socket (ss) leads to", format_args!("{remote}, Pod {}", answer.pod));
    fact("getsockname() in the client", local);
    fact("accept() in the Pod saw", answer.peer);

    let client = conntrack(&stage.client.command("conntrack"))?;
    let node = conntrack(&stage.node.command("conntrack"))?;
    fact("conntrack entries, client and node", format_args!("{} and {}", client.len(), node.len()));
    let translated = through_nat(&stage.bystander, service, remote)?;
    note("the same connection from another Pod through a DNAT rule, outside of etm's cgroup:");
    fact("conntrack entries there", translated.len());
    translated.iter().for_each(note);
    println!();

    report.check(peer == service, "the client sees the Service as its peer");
    report.check(remote == answer.local, "the socket's real peer is the Pod");
    report.check(answer.peer == local, "the Pod sees the client's own address and port: no NAT");
    report.check(client.is_empty() && node.is_empty(), "connection tracking knows nothing of it");
    report.check(
        translated.len() == 1 && translated[0].contains(&format!("src={}", remote.ip())),
        "connection tracking would have shown a translated one",
    );
    report.key(format!("{service} is {remote}, 0 conntrack entries"));
    Ok(())
}

/// The remote end of the client's socket as the kernel has it.
fn socket_of(client: &Pod, local: SocketAddr) -> anyhow::Result<SocketAddr> {
    let mut command = client.command("ss");
    command.args(["-Htn", "state", "established"]);
    let listed = output(command)?;
    // Recv-Q Send-Q Local Peer
    let mut sockets = listed.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let local = local.to_string();
    let found = sockets.find(|fields| fields.get(2) == Some(&local.as_str()));
    let remote = found.and_then(|fields| fields.get(3).copied().map(str::to_owned));
    Ok(remote.with_context(|| format!("ss does not show {local}: {listed}"))?.parse()?)
}

/// The entries of a namespace, for TCP.
fn conntrack(program: &Command) -> anyhow::Result<Vec<String>> {
    let mut command = Command::new(program.get_program());
    command.args(program.get_args()).args(["-L", "-p", "tcp"]);
    let listed = output(command)?;
    Ok(listed.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect())
}

/// Connects from a Pod that etm does not cover through a rule like kube-proxy's, and gives the
/// entries that this leaves: proof that looking for them finds them.
fn through_nat(pod: &Pod, service: SocketAddr, to: SocketAddr) -> anyhow::Result<Vec<String>> {
    // The route only makes the address reachable; it is translated before a packet leaves.
    pod.namespace().ip(&format!("route add {}/32 dev eth0\n", service.ip()))?;
    let rules = format!(
        "table ip demo {{\n\
           chain output {{\n\
             type nat hook output priority -100; policy accept;\n\
             ip daddr {} tcp dport {} dnat to {to}\n\
           }}\n\
         }}\n",
        service.ip(),
        service.port(),
    );
    let mut nft = pod.command("nft");
    nft.args(["-f", "-"]).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut nft = nft.spawn().context("run nft")?;
    nft.stdin.take().context("nft has no stdin")?.write_all(rules.as_bytes())?;
    let ended = nft.wait_with_output()?;
    if !ended.status.success() {
        bail!("nft takes no DNAT rule: {}", String::from_utf8_lossy(&ended.stderr).trim());
    }
    let mut session =
        Caller::new(&pod.place(), etm_testkit::Protocol::Tcp).keep_open().session(service)?;
    let call = session.call()?;
    if !call.answered() {
        bail!("no answer through the DNAT rule: {call:?}");
    }
    conntrack(&pod.command("conntrack"))
}
