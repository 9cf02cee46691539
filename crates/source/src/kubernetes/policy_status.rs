use std::{mem, sync::Arc};

use etm_model::{Change, ObjectName, Problem, RouteOwner};
use kube::{Client, runtime::watcher};

use super::{
    AT_ONCE, ConfigurationError, ObservedRoute, Options,
    asked_pods::AskedPods,
    asking::Asking,
    connection::{Connection, unlabelled},
    demanded::Demanded,
    gateway::Gateway,
    kind::{Batch, EndpointSlices, Services},
    observed::{ObservedPolicies, ObservedPolicy},
    releases::Releases,
    routes::ObservedTrafficRoutes,
    statistics::Statistics,
    watch::Watch,
};
use crate::convert::{PROXY_NAME, SERVICE_NAME};

/// What the status of policies and routes depends on, followed: policies, routes, those of releases among
/// them, and Services; while there are routes, EndpointSlices as well, and Pods where a route divides a Service by their labels.
pub struct PolicyWatch {
    services: Watch<Services>,
    policies: Watch<ObservedPolicies>,
    routes: Watch<ObservedTrafficRoutes>,
    releases: Watch<Releases<true>>,
    gateway: Gateway,
    asking: Asking,
    slices: Demanded<EndpointSlices>,
    asked_pods: AskedPods,
    /// What is told of routes once what it depends on is known.
    withheld: Withheld,
    client: Client,
    statistics: Vec<Arc<Statistics>>,
    batch: Batch,
    complete: bool,
    told: Vec<Problem>,
}

#[derive(Default)]
struct Withheld {
    changes: Vec<Change>,
    routes: Vec<(RouteOwner, Option<ObservedRoute>)>,
}

/// What became of policies, routes and Services.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PolicyUpdate {
    /// What changed that the status of any policy or route may depend on.
    pub changes: Vec<Change>,
    /// Each policy that changed, its status included, in order; none of one that is gone.
    pub policies: Vec<(ObjectName, Option<ObservedPolicy>)>,
    /// Each object with routes that changed, its status included, in order; none of one that is gone.
    pub routes: Vec<(RouteOwner, Option<ObservedRoute>)>,
    /// All that is wrong with the watches, in a fixed order. What is wrong with policies and routes is
    /// in `policies` and `routes`; what is wrong with Services is for agents to tell.
    pub problems: Vec<Problem>,
}

impl PolicyWatch {
    /// Prepares to follow the API server; nothing is sent yet. Must be called in a tokio runtime
    /// with I/O and time enabled. Of `options.source` only the proxy's name counts.
    ///
    /// # Errors
    ///
    /// Where the configuration cannot be used; an API server that does not answer is a [`Problem`].
    pub async fn open(options: &Options) -> Result<Self, ConfigurationError> {
        let mut connection = Connection::open(options).await?;
        let unlabelled = unlabelled(options.source.proxy_name.as_deref());
        let services = connection.watch(watcher::Config::default().labels(&unlabelled))?;
        let policies = connection.watch(watcher::Config::default())?;
        let routes = connection.watch(watcher::Config::default())?;
        let releases = connection.watch(watcher::Config::default())?;
        let client = connection.client()?;
        let Connection { access, mut statistics, .. } = connection;
        let gateway = Gateway::new(Arc::clone(&access));
        // Those of headless Services as well, to which routes may lead.
        let proxy_name = options.source.proxy_name.clone();
        let of_services = match proxy_name {
            Some(_) => SERVICE_NAME.to_owned(),
            None => format!("{SERVICE_NAME},!{PROXY_NAME}"),
        };
        let of_services = watcher::Config::default().labels(&of_services);
        let slices = Demanded::new(Arc::clone(&access), of_services).for_proxy(proxy_name);
        let asked_pods = AskedPods::new(access);
        statistics.extend(gateway.statistics());
        statistics.extend([slices.statistics(), asked_pods.statistics()].map(Arc::clone));
        Ok(Self {
            services,
            policies,
            routes,
            releases,
            gateway,
            asking: Asking::default(),
            slices,
            asked_pods,
            withheld: Withheld::default(),
            client,
            statistics,
            batch: Batch::default(),
            complete: false,
            told: Vec::new(),
        })
    }

    /// A client that reaches the API server in the same way, for whatever is to be written there.
    /// Its default namespace is that of the Pod or of the kubeconfig's context.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Waits for the next change. Cancel safe. What has come by then is told at once; nothing but
    /// problems is told until all kinds were listed to the end; that they were is told then, also
    /// where they are empty.
    pub async fn next(&mut self) -> PolicyUpdate {
        loop {
            tokio::select! {
                outcome = self.services.next() => self.services.take(outcome, &mut self.batch),
                outcome = self.policies.next() => self.policies.take(outcome, &mut self.batch),
                outcome = self.routes.next() => self.routes.take(outcome, &mut self.batch),
                outcome = self.releases.next() => self.releases.take(outcome, &mut self.batch),
                news = self.gateway.next() => self.gateway.take(news, &mut self.batch),
                outcome = self.slices.next() => self.slices.take(outcome, &mut self.batch),
                outcome = self.asked_pods.next() => {
                    self.asked_pods.take(outcome, &mut self.batch);
                }
            }
            for _ in 0..AT_ONCE {
                let batch = &mut self.batch;
                let any = [
                    self.services.take_waiting(batch),
                    self.policies.take_waiting(batch),
                    self.routes.take_waiting(batch),
                    self.releases.take_waiting(batch),
                    self.gateway.take_waiting(batch),
                    self.slices.take_waiting(batch),
                    self.asked_pods.take_waiting(batch),
                ];
                if !any.contains(&true) {
                    break;
                }
            }
            if let Some(update) = self.update() {
                return update;
            }
        }
    }

    /// Whether Services, policies and routes were listed to the end once; a cluster that does not know the
    /// kinds has none of them.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// What became of each watch so far.
    #[must_use]
    pub fn statistics(&self) -> &[Arc<Statistics>] {
        &self.statistics
    }

    fn update(&mut self) -> Option<PolicyUpdate> {
        if self.asking.take(&mut self.batch) {
            self.slices.demand(self.asking.any_route(), &mut self.batch);
            self.asked_pods.ask(&self.asking, &mut self.batch);
        }
        let asked = self.slices.is_settled() && self.asked_pods.is_settled();
        self.withhold(asked);
        // A policy whose Service is not known yet must not be told that there is none.
        let complete = self.services.table.is_complete()
            && self.policies.table.is_complete()
            && self.routes.table.is_complete()
            && self.releases.table.is_complete()
            && self.gateway.is_settled();
        let first = complete && !self.complete;
        self.complete |= complete;
        // Of a watch of releases that fails, whoever follows them otherwise tells.
        let failing = [
            self.services.failing(),
            self.policies.failing(),
            self.routes.failing(),
            self.slices.failing(),
        ];
        let mut problems: Vec<_> = failing.into_iter().flatten().collect();
        problems.extend(self.gateway.problems().chain(self.asked_pods.problems()));
        problems.sort();
        let news = problems != self.told;
        self.told.clone_from(&problems);
        if !self.complete {
            return news.then(|| PolicyUpdate { problems, ..PolicyUpdate::default() });
        }
        let Batch { changes, observed: policies, observed_routes: routes, .. } =
            mem::take(&mut self.batch);
        let any =
            first || news || !changes.is_empty() || !policies.is_empty() || !routes.is_empty();
        any.then_some(PolicyUpdate { changes, policies, routes, problems })
    }

    /// Lets routes wait, in their order, until what their status depends on was listed: none is to be
    /// told that what it leads to is not there since nobody has looked yet.
    fn withhold(&mut self, settled: bool) {
        super::withhold(&mut self.withheld.changes, settled, &mut self.batch.changes);
        self.withheld.routes.append(&mut self.batch.observed_routes);
        if settled {
            self.batch.observed_routes = mem::take(&mut self.withheld.routes);
        }
    }
}
