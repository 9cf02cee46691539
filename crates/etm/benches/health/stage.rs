//! What is measured on: a node with eight Pods that serve, and Pods that call.

use std::{
    env,
    io::{BufRead as _, BufReader, Lines},
    net::Ipv4Addr,
    process::{Child, ChildStdout, Stdio},
};

use anyhow::{Context as _, ensure};
use etm_testkit::{Node, Place, Pod};

use crate::{
    caller::{Plan, Report},
    cluster::Cluster,
    servers::{Server, Servers},
};

/// Pods behind the Service.
pub(crate) const SERVING: usize = 8;

/// Pods that call it.
pub(crate) const CALLING: usize = 4;

/// The node with all that the sections share.
pub(crate) struct Stage {
    pub(crate) servers: Vec<Server>,
    pub(crate) callers: Vec<Pod>,
    pub(crate) node: Node,
}

/// A calling process; killed on drop.
pub(crate) struct Calling {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Stage {
    /// Builds it.
    pub(crate) fn build() -> anyhow::Result<Self> {
        let (node, runtime) = (Node::new()?, Servers::start()?);
        let servers =
            (0..SERVING).map(|number| runtime.serve(node.pod(&format!("server-{number}"))?));
        let servers = servers.collect::<anyhow::Result<_>>()?;
        let callers = (0..CALLING).map(|number| node.pod(&format!("caller-{number}")));
        let callers = callers.collect::<Result<_, _>>()?;
        Ok(Self { servers, callers, node })
    }

    /// The addresses of the Pods that serve.
    pub(crate) fn addresses(&self) -> Vec<Ipv4Addr> {
        self.servers.iter().map(|server| server.pod.ipv4()).collect()
    }

    /// The Service with all of them behind it.
    pub(crate) fn cluster(&self) -> Cluster {
        Cluster::new(self.addresses())
    }
}

impl Calling {
    /// Starts one at a place.
    pub(crate) fn start(place: &Place, plan: &Plan) -> anyhow::Result<Self> {
        let mut child = place
            .command(env::current_exe()?)
            .args(["call", &serde_json::to_string(plan)?])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let lines = BufReader::new(child.stdout.take().context("no stdout")?).lines();
        let mut calling = Self { child, lines };
        let line = calling.lines.next().transpose()?;
        ensure!(line.as_deref() == Some("ready"), "a caller of the bench did not start");
        Ok(calling)
    }

    /// Waits until it has made all of its connections.
    pub(crate) fn wait(mut self) -> anyhow::Result<Report> {
        let line = self.lines.next().transpose()?.context("a caller of the bench failed")?;
        Ok(serde_json::from_str(&line)?)
    }

    /// Has it begin no more connections, and waits for those under way.
    pub(crate) fn stop(mut self) -> anyhow::Result<Report> {
        drop(self.child.stdin.take());
        self.wait()
    }
}

impl Drop for Calling {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Stops all of them and puts their reports together.
pub(crate) fn stop(callings: Vec<Calling>) -> anyhow::Result<Report> {
    gather(callings, Calling::stop)
}

/// Waits for all of them and puts their reports together.
pub(crate) fn wait(callings: Vec<Calling>) -> anyhow::Result<Report> {
    gather(callings, Calling::wait)
}

fn gather(
    callings: Vec<Calling>,
    end: fn(Calling) -> anyhow::Result<Report>,
) -> anyhow::Result<Report> {
    let mut all = Report::default();
    for calling in callings {
        let Report { connections, aborted, failures } = end(calling)?;
        all.connections += connections;
        all.aborted += aborted;
        all.failures.extend(failures);
    }
    Ok(all)
}
