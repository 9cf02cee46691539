//! What is measured on: a node with eight Pods that serve, and Pods that call.

use std::net::Ipv4Addr;

use etm_testkit::{Node, Pod};

use crate::{
    caller::Report,
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

/// A process that calls.
pub(crate) type Calling = etm_bench::calling::Calling<Report>;

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
        let Report { connections, aborted, failures, turns } = end(calling)?;
        all.connections += connections;
        all.aborted += aborted;
        all.failures.extend(failures);
        all.turns.extend(turns);
    }
    Ok(all)
}
