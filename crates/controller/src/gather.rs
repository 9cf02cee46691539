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
use etm_outcomes::{BackendOutcomes, Question};
use etm_release::{Presence, Versions};
use futures_util::future::join_all;
use k8s_openapi::{
    api::{
        core::v1::{Pod, Service},
        discovery::v1::{Endpoint, EndpointSlice},
    },
    jiff::Timestamp,
};
use kube::{Api, Client, ResourceExt as _, api::ListParams};
use tokio::time::timeout;

use crate::{agents::Agents, problem};

const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(5);

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
    /// Why nobody can be led on the way to one of its Services, of one that has not begun.
    pub uncalled: Option<String>,
    /// Why nothing, or not all, is known of connections.
    pub unseen: Option<String>,
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

impl Sources {
    /// Looks at a release.
    pub async fn gather(&self, asked: &ReleaseAsk) -> Gathered {
        let mut gathered = Gathered::default();
        if let Err(reason) = self.services(asked, &mut gathered).await {
            gathered.problems.push(told(asked, "spec.services", &reason));
            gathered.unseen = Some(reason);
            return gathered;
        }
        let Some(analysis) = asked.spec.analysis.as_ref().filter(|_| asked.since.is_some()) else {
            return gathered;
        };
        let connections = async {
            if analysis.connections.is_none() {
                return Ok((Vec::new(), None));
            }
            let Some(agents) = &self.agents else {
                let reason = "the controller has no certificate for the agents (--outcomes-tls)";
                return Err(reason.to_owned());
            };
            let addresses = gathered.stable.union(&gathered.new).copied().collect();
            agents.outcomes(&self.client, &Question { addresses }, analysis.interval.get()).await
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
        (gathered.outcomes, gathered.unseen) =
            outcomes.unwrap_or_else(|reason| (Vec::new(), Some(reason)));
        let unseen = gathered.unseen.iter();
        let unseen = unseen.map(|reason| told(asked, "spec.analysis.connections", reason));
        gathered.problems.extend(unseen);
        for (i, answer) in &answers {
            if let Err(reason) = answer {
                let field = format!("spec.analysis.queries[{i}]");
                gathered.problems.push(told(asked, &field, reason));
            }
        }
        gathered.answers = answers;
        gathered
    }

    async fn services(&self, asked: &ReleaseAsk, gathered: &mut Gathered) -> Result<(), String> {
        // Of one that has begun it is told by what becomes of its routes.
        if asked.since.is_none() {
            gathered.uncalled = self.uncalled(asked).await?;
        }
        self.versions(asked, gathered).await
    }

    /// Why nobody can be led on the way to one of a release's Services.
    async fn uncalled(&self, asked: &ReleaseAsk) -> Result<Option<String>, String> {
        let namespace = &*asked.name.namespace;
        let api = Api::<Service>::namespaced(self.client.clone(), namespace);
        for (i, released) in asked.spec.services.iter().enumerate() {
            let name = &released.service;
            let which = ListParams::default().fields(&format!("metadata.name={name}"));
            let found = in_time(api.list(&which)).await?.items.pop();
            if let Some(reason) = unreachable(found.as_ref()) {
                let field = format!("spec.services[{i}].service");
                return Ok(Some(format!("{field}: Service {namespace}/{name} {reason}")));
            }
        }
        Ok(None)
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
}

pub(crate) async fn in_time<T>(
    request: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, String> {
    match timeout(PATIENCE, request).await {
        Ok(outcome) => outcome.map_err(|error| problem::words(&error)),
        Err(_) => Err(format!("the API server gives no answer within {PATIENCE:?}")),
    }
}

/// Why a Service has no address at which to choose.
fn unreachable(service: Option<&Service>) -> Option<&'static str> {
    let Some(service) = service else {
        return Some("is not there (create it, or correct the name)");
    };
    let spec = service.spec.as_ref()?;
    match (spec.type_.as_deref(), spec.cluster_ip.as_deref()) {
        (Some("ExternalName"), _) => Some(
            "has no cluster IP at which to choose, since it is of type ExternalName (name one that \
             has)",
        ),
        (_, Some("None")) => Some(
            "has no cluster IP at which to choose, since it is headless (name one that has; \
             versions may be headless)",
        ),
        _ => None,
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
