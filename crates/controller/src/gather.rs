//! What a release depends on, looked at when it is time: the Pods of its versions, what became of the
//! connections to them, and what Prometheus says.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use etm_api::{ReleaseSpec, ReleasedService, Version};
use etm_model::{ObjectName, Problem};
use etm_monitor::Prometheus;
use etm_outcomes::{BackendOutcomes, Identity, Question, ask};
use etm_release::{Presence, Versions};
use futures_util::{StreamExt as _, future::join_all, stream};
use k8s_openapi::{
    api::{
        core::v1::Pod,
        discovery::v1::{Endpoint, EndpointSlice},
    },
    jiff::Timestamp,
};
use kube::{Api, Client, ResourceExt as _, api::ListParams};
use tokio::time::timeout;

use crate::problem;

const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Agents that are asked at a time.
const AT_ONCE: usize = 64;

/// A release that is to be looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct ReleaseAsk {
    /// Its name.
    pub name: ObjectName,
    /// `metadata.uid`.
    pub uid: String,
    /// Since when it is at its step; none before it has begun.
    pub since: Option<Timestamp>,
    /// By what it goes.
    pub spec: ReleaseSpec,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gathered {
    /// Whether the versions are there.
    pub versions: Versions,
    /// Addresses of the Pods of the stable version.
    pub stable: BTreeSet<IpAddr>,
    /// Of the new one.
    pub new: BTreeSet<IpAddr>,
    /// What became of connections, by agent.
    pub outcomes: Vec<(SocketAddr, Vec<BackendOutcomes>)>,
    /// What queries gave, by their place.
    pub answers: Vec<(usize, Result<Vec<f64>, String>)>,
    /// What could not be looked at.
    pub problems: Vec<Problem>,
}

/// Whom to ask.
#[derive(Clone)]
pub struct Sources {
    /// The API server.
    pub client: Client,
    /// Prometheus, if it is known.
    pub prometheus: Option<Prometheus>,
    /// The agents, if this process has a certificate for them.
    pub agents: Option<Agents>,
}

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

/// The labels of an agent's Pod.
const AGENT: &str = "app.kubernetes.io/name=etm,app.kubernetes.io/component=agent";

impl Sources {
    /// Looks at a release.
    pub async fn gather(&self, asked: &ReleaseAsk) -> Gathered {
        let mut gathered = Gathered::default();
        if let Err(reason) = self.versions(asked, &mut gathered).await {
            gathered.problems.push(told(asked, "spec.services", &reason));
            return gathered;
        }
        let Some(analysis) = asked.spec.analysis.as_ref().filter(|_| asked.since.is_some()) else {
            return gathered;
        };
        let connections = async {
            if analysis.connections.is_none() {
                return Ok((Vec::new(), None));
            }
            let addresses = gathered.stable.union(&gathered.new).copied().collect();
            self.outcomes(Question { addresses }).await
        };
        let queries = analysis.queries.iter().enumerate().map(|(i, query)| async move {
            let Some(prometheus) = &self.prometheus else {
                let reason = "the controller was not told where Prometheus is (--prometheus)";
                return (i, Err(reason.to_owned()));
            };
            let answer = prometheus.query(&query.query, PATIENCE).await;
            let values = |samples: Vec<etm_monitor::Sample>| {
                samples.into_iter().map(|sample| sample.value).collect::<Vec<f64>>()
            };
            (i, answer.map(values).map_err(|trouble| trouble.to_string()))
        });
        let (outcomes, answers) = tokio::join!(connections, join_all(queries));
        match outcomes {
            Ok((outcomes, failing)) => {
                gathered.outcomes = outcomes;
                let told = failing.map(|reason| told(asked, "spec.analysis.connections", &reason));
                gathered.problems.extend(told);
            }
            Err(reason) => {
                gathered.problems.push(told(asked, "spec.analysis.connections", &reason));
            }
        }
        for (i, answer) in &answers {
            if let Err(reason) = answer {
                let field = format!("spec.analysis.queries[{i}]");
                gathered.problems.push(told(asked, &field, reason));
            }
        }
        gathered.answers = answers;
        gathered
    }

    async fn versions(&self, asked: &ReleaseAsk, gathered: &mut Gathered) -> Result<(), String> {
        let namespace = &*asked.name.namespace;
        let endpoints = self.endpoints(namespace, &asked.spec).await?;
        let mut absent = [None, None];
        for released in &asked.spec.services {
            let versions = [&released.stable, &released.new];
            let addresses = [&mut gathered.stable, &mut gathered.new];
            for ((version, addresses), absent) in
                versions.into_iter().zip(addresses).zip(&mut absent)
            {
                let labelled = self.labelled(namespace, version).await?;
                let service = version.service.as_ref().unwrap_or(&released.service);
                let mut ready = false;
                for endpoint in endpoints.get(service).into_iter().flatten() {
                    let pod = endpoint.target_ref.as_ref().and_then(|pod| pod.name.as_ref());
                    let is_meant = labelled
                        .as_ref()
                        .is_none_or(|names| pod.is_some_and(|pod| names.contains(pod)));
                    if is_meant {
                        ready |= is_ready(endpoint);
                        let given = endpoint.addresses.iter();
                        let given = given.filter_map(|text| text.parse::<IpAddr>().ok());
                        addresses.extend(given);
                    }
                }
                if !ready && absent.is_none() {
                    *absent = Some(missing(released, version));
                }
            }
        }
        let [stable, new] = absent.map(|absent| absent.map_or(Presence::Present, Presence::Absent));
        gathered.versions = Versions { stable, new };
        Ok(())
    }

    /// The endpoints of all Services that a release names, by Service.
    async fn endpoints(
        &self,
        namespace: &str,
        spec: &ReleaseSpec,
    ) -> Result<BTreeMap<String, Vec<Endpoint>>, String> {
        let versions = spec.services.iter().flat_map(|one| [&one.stable, &one.new]);
        let named = versions.filter_map(|version| version.service.as_deref());
        let names: BTreeSet<&str> =
            named.chain(spec.services.iter().map(|one| one.service.as_str())).collect();
        let names = Vec::from_iter(names).join(",");
        let api = Api::<EndpointSlice>::namespaced(self.client.clone(), namespace);
        let which =
            ListParams::default().labels(&format!("{SERVICE_NAME} in ({names})")).match_any();
        let slices = in_time(api.list(&which)).await?;
        let mut endpoints: BTreeMap<String, Vec<Endpoint>> = BTreeMap::new();
        for slice in slices.items {
            let Some(service) = slice.labels().get(SERVICE_NAME) else { continue };
            let service = endpoints.entry(service.clone()).or_default();
            service.extend(slice.endpoints.into_iter().flatten());
        }
        Ok(endpoints)
    }

    /// Names of the Pods with the labels of a version; none where it has no labels.
    async fn labelled(
        &self,
        namespace: &str,
        version: &Version,
    ) -> Result<Option<BTreeSet<String>>, String> {
        let Some(labels) = &version.labels else { return Ok(None) };
        let labels = labels.iter().map(|(key, value)| format!("{key}={value}"));
        let which = ListParams::default().labels(&Vec::from_iter(labels).join(",")).match_any();
        let api = Api::<Pod>::namespaced(self.client.clone(), namespace);
        let pods = in_time(api.list_metadata(&which)).await?;
        Ok(Some(pods.items.iter().map(kube::ResourceExt::name_any).collect()))
    }

    /// What became of connections, and which agents did not answer.
    async fn outcomes(
        &self,
        question: Question,
    ) -> Result<(Vec<(SocketAddr, Vec<BackendOutcomes>)>, Option<String>), String> {
        let Some(agents) = &self.agents else {
            let reason = "the controller has no certificate for the agents (--outcomes-tls)";
            return Err(reason.to_owned());
        };
        let addresses = match &agents.at {
            AgentsAt::Addresses(addresses) => addresses.clone(),
            AgentsAt::Pods(namespace, port) => {
                let api = Api::<Pod>::namespaced(self.client.clone(), namespace);
                let which = ListParams::default().labels(AGENT).match_any();
                let pods = in_time(api.list(&which)).await?;
                let addresses = pods.items.iter().filter_map(|pod| {
                    let status = pod.status.as_ref()?;
                    let runs = status.phase.as_deref() == Some("Running");
                    let ip = status.pod_ip.as_ref().filter(|_| runs)?.parse().ok()?;
                    Some(SocketAddr::new(ip, *port))
                });
                addresses.collect()
            }
        };
        if addresses.is_empty() {
            return Err("there is no agent".to_owned());
        }
        let (identity, question) = (&agents.identity, &question);
        let asks = addresses
            .into_iter()
            .map(|agent| async move { (agent, ask(agent, identity, question, PATIENCE).await) });
        let asks: Vec<_> = asks.collect();
        let answers: Vec<_> = stream::iter(asks).buffer_unordered(AT_ONCE).collect().await;
        let all = answers.len();
        let mut outcomes = Vec::with_capacity(all);
        let mut failing = None;
        for (agent, answer) in answers {
            match answer {
                Ok(report) => outcomes.push((agent, report.backends)),
                Err(error) => failing = Some(etm_model::with_causes(&error)),
            }
        }
        let silent = all - outcomes.len();
        let failing =
            failing.map(|error| format!("{silent} of {all} agents do not answer: {error}"));
        Ok((outcomes, failing))
    }
}

async fn in_time<T>(request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, String> {
    match timeout(PATIENCE, request).await {
        Ok(outcome) => outcome.map_err(|error| problem::words(&error)),
        Err(_) => Err(format!("the API server gives no answer within {PATIENCE:?}")),
    }
}

/// As a Service's endpoints are: nothing said means ready.
fn is_ready(endpoint: &Endpoint) -> bool {
    endpoint.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true)
}

fn missing(released: &ReleasedService, version: &Version) -> String {
    match &version.service {
        Some(service) => format!("Service {service} has no ready endpoint"),
        None => {
            let labels = version.labels.iter().flatten();
            let labels = labels.map(|(key, value)| format!("{key}={value}"));
            let labels = Vec::from_iter(labels).join(",");
            format!("Service {} has no ready endpoint with labels {labels}", released.service)
        }
    }
}

fn told(asked: &ReleaseAsk, field: &str, reason: &str) -> Problem {
    Problem {
        object: format!("Release {}", asked.name),
        field: field.to_owned(),
        reason: reason.to_owned(),
        hint: "the release stays at its step, until progressDeadline at most".to_owned(),
    }
}
