//! What the controller is told of connections.

use std::{collections::BTreeSet, net::IpAddr};

use anyhow::Context as _;
use etm_dataplane::Dataplane;
use etm_model::Ledger;
use etm_outcomes::{Asked, BackendOutcomes, Identity, Listener, Question, Report};
use tracing::warn;

use crate::cli::AgentArgs;

/// The listener for the controller, where one is asked for.
pub(super) struct Outcomes(Option<Listener>);

impl Outcomes {
    pub(super) async fn open(arguments: &AgentArgs) -> anyhow::Result<Self> {
        let (Some(address), Some(folder)) = (arguments.outcomes, &arguments.outcomes_tls) else {
            return Ok(Self(None));
        };
        let identity = Identity::new(folder);
        if let Err(error) = identity.check() {
            let error = etm_model::with_causes(&error);
            warn!(
                "the controller is not told of connections until there is a certificate: {error}"
            );
        }
        let listener = Listener::open(address, identity).await.context("--outcomes")?;
        Ok(Self(Some(listener)))
    }

    /// Waits for what the controller asks. Cancel safe.
    pub(super) async fn next(&mut self) -> Asked {
        match &mut self.0 {
            Some(listener) => listener.next().await,
            None => std::future::pending().await,
        }
    }
}

/// What became of connections to the Pods that are asked for. Costs what the node knows of backends,
/// some 10 ns each, however few are asked for.
pub(super) fn report(question: &Question, ledger: &Ledger, dataplane: &Dataplane) -> Report {
    let asked: BTreeSet<IpAddr> = question.addresses.iter().copied().collect();
    let backends = (0..ledger.backends_end()).filter_map(|id| {
        let key = ledger.backend_key(id).filter(|key| asked.contains(&key.ip))?;
        let read = dataplane.outcomes(id)?;
        Some(BackendOutcomes {
            address: key.ip,
            port: key.port,
            protocol: key.protocol.to_string(),
            established: read.established,
            rtt: read.rtt,
            refused: read.refused,
            timed_out: read.timed_out,
            reset: read.reset,
        })
    });
    Report { backends: backends.collect() }
}
