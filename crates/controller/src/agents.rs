//! The agents of a cluster, asked what became of connections.

use std::{net::SocketAddr, time::Duration};

use etm_outcomes::{AskError, BackendOutcomes, Identity, Question, ask};
use futures_util::{StreamExt as _, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, api::ListParams};

use crate::gather::in_time;

/// Agents that are asked at a time.
const AT_ONCE: usize = 64;

/// How long an agent may take, at least and at most: while one is waited for, nothing is judged.
const PATIENCE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(1));

/// The labels of an agent's Pod.
const AGENT: &str = "app.kubernetes.io/name=etm,app.kubernetes.io/component=agent";

/// Where agents answer.
#[derive(Clone, Debug)]
pub struct Agents {
    /// What this process shows them.
    pub identity: Identity,
    /// Where to find them.
    pub at: AgentsAt,
}

/// Where to find the agents.
#[derive(Clone, Debug)]
pub enum AgentsAt {
    /// Here.
    Addresses(Vec<SocketAddr>),
    /// In the Pods of this namespace with the labels of an agent, at this port.
    Pods(String, u16),
}

/// What agents said, each by itself.
pub(crate) type Answers = Vec<(SocketAddr, Vec<BackendOutcomes>)>;

impl Agents {
    /// What became of connections, and which agents did not answer; asked for once in `interval`.
    pub(crate) async fn outcomes(
        &self,
        client: &Client,
        question: &Question,
        interval: Duration,
    ) -> Result<(Answers, Option<String>), String> {
        let addresses = self.addresses(client).await?;
        if addresses.is_empty() {
            return Err("there is no agent".to_owned());
        }
        Ok(self.ask(addresses, question, interval).await)
    }

    async fn ask(
        &self,
        addresses: Vec<SocketAddr>,
        question: &Question,
        interval: Duration,
    ) -> (Answers, Option<String>) {
        let (least, most) = PATIENCE;
        let patience = interval.clamp(least, most);
        let asks = addresses.into_iter().map(|agent| async move {
            (agent, ask(agent, &self.identity, question, patience).await)
        });
        let asks: Vec<_> = asks.collect();
        let mut answers: Vec<_> = stream::iter(asks).buffer_unordered(AT_ONCE).collect().await;
        // So that of several that fail always the same one is told of.
        answers.sort_by_key(|(agent, _)| *agent);
        sorted_out(answers)
    }

    async fn addresses(&self, client: &Client) -> Result<Vec<SocketAddr>, String> {
        let (namespace, port) = match &self.at {
            AgentsAt::Addresses(addresses) => return Ok(addresses.clone()),
            AgentsAt::Pods(namespace, port) => (namespace, port),
        };
        let api = Api::<Pod>::namespaced(client.clone(), namespace);
        let which = ListParams::default().labels(AGENT).match_any();
        let pods = in_time(api.list(&which)).await?;
        let addresses = pods.items.iter().filter_map(|pod| {
            let status = pod.status.as_ref()?;
            let runs = status.phase.as_deref() == Some("Running");
            let ip = status.pod_ip.as_ref().filter(|_| runs)?.parse().ok()?;
            Some(SocketAddr::new(ip, *port))
        });
        Ok(addresses.collect())
    }
}

/// What was said, and how many said nothing, with the reason of the first.
fn sorted_out(
    answers: Vec<(SocketAddr, Result<etm_outcomes::Report, AskError>)>,
) -> (Answers, Option<String>) {
    let all = answers.len();
    let mut said = Vec::with_capacity(all);
    let mut failing = None;
    for (agent, answer) in answers {
        match answer {
            Ok(report) => said.push((agent, report.backends)),
            Err(error) => failing = failing.or_else(|| Some(etm_model::with_causes(&error))),
        }
    }
    let silent = all - said.len();
    let failing = failing.map(|error| format!("{silent} of {all} agents do not answer: {error}"));
    (said, failing)
}

#[cfg(test)]
mod tests;
