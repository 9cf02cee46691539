//! What happens to Pods, and how it is put right.

use std::process::{Child, Stdio};

use anyhow::{Context as _, ensure};

use crate::servers::{Manner, Server, TARGET};

/// What happens to a Pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nobody listens any more.
    Refuses,
    /// Nothing is answered any more, not even with a reset.
    BlackHole,
    /// Connections are reset as soon as they are accepted.
    Resets,
    /// Answers take half a second.
    IsSlow,
}

const LOSE_ALL: &str = "drop";
const LOSE_SOME: &str = "numgen random mod 100 == 0 drop";

impl Fault {
    /// Brings it upon some Pods at once.
    pub(crate) fn begin(self, servers: &mut [Server]) -> anyhow::Result<()> {
        match self {
            Self::Refuses => servers.iter_mut().for_each(Server::refuse),
            Self::BlackHole => lose(servers, LOSE_ALL)?,
            Self::Resets => servers.iter().for_each(|server| server.behave(Manner::Resets)),
            Self::IsSlow => servers.iter().for_each(|server| server.behave(Manner::IsSlow)),
        }
        Ok(())
    }

    /// Puts it right.
    pub(crate) fn end(self, servers: &mut [Server]) -> anyhow::Result<()> {
        match self {
            Self::Refuses => servers.iter_mut().try_for_each(Server::listen)?,
            Self::BlackHole => lose_none(servers)?,
            Self::Resets | Self::IsSlow => {
                servers.iter().for_each(|server| server.behave(Manner::Answers));
            }
        }
        Ok(())
    }
}

/// Loses every hundredth packet at random, each way.
pub(crate) fn lose_some(servers: &[Server]) -> anyhow::Result<()> {
    lose(servers, LOSE_SOME)
}

/// Loses nothing any more.
pub(crate) fn lose_none(servers: &[Server]) -> anyhow::Result<()> {
    change(servers, "delete table inet loss")
}

fn lose(servers: &[Server], how: &str) -> anyhow::Result<()> {
    let chain = |hook: &str, side: &str| {
        format!("chain {hook} {{ type filter hook {hook} priority 0; tcp {side} {TARGET} {how}; }}")
    };
    let chains = [chain("input", "dport"), chain("output", "sport")].join("; ");
    change(servers, &format!("table inet loss {{ {chains}; }}"))
}

/// In all of their networks at once.
fn change(servers: &[Server], rules: &str) -> anyhow::Result<()> {
    let start = |server: &Server| {
        server.pod.command("nft").arg(rules).stdin(Stdio::null()).spawn().context("run nft")
    };
    let children: Vec<Child> = servers.iter().map(start).collect::<anyhow::Result<_>>()?;
    for mut child in children {
        let status = child.wait()?;
        ensure!(status.success(), "nft ended with {status}");
    }
    Ok(())
}
