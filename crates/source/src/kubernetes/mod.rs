//! The API server, followed: Services, EndpointSlices, TrafficPolicies and NodeHealth, this Node, the
//! Pods of this node, and the weights of Pods where a policy asks for them.
//!
//! What watches say is reduced and passed on; nothing but names and versions is kept here. While a
//! list is under way, and while the API server cannot be reached, the last good state counts.

mod asked_pods;
mod asking;
mod client;
mod configuration;
mod connection;
mod connector;
mod demanded;
mod gateway;
mod headless;
mod kind;
mod leaving;
mod node_reports;
mod node_watch;
mod nodes;
mod observed;
mod one_kind;
mod policies;
mod policy_status;
mod releases;
mod reporter;
mod routes;
mod servers;
mod statistics;
mod suppose;
mod table;
mod wakeful;
mod watch;

use std::{mem, net::IpAddr, path::PathBuf, sync::Arc};

use etm_api::NodeReportSpec;
use etm_model::{Change, Problem};
use kube::runtime::watcher;

pub use configuration::ConfigurationError;
pub use node_reports::ReportUpdate;
pub use node_watch::{NodeUpdate, NodeWatch};
pub use nodes::{NodeChange, ObservedHealth, ObservedMonitor, ObservedNode};
pub use observed::ObservedPolicy;
pub use one_kind::{KindUpdate, ReleaseWatch, ReportWatch};
pub use policy_status::{PolicyUpdate, PolicyWatch};
pub use releases::{ObservedRelease, ReleaseUpdate};
pub use routes::{ObservedRoute, Said};
pub use statistics::{Statistics, Watched};

use self::{
    asked_pods::AskedPods,
    asking::Asking,
    connection::Connection,
    demanded::Demanded,
    gateway::Gateway,
    headless::Headless,
    kind::{Batch, EndpointSlices, Nodes, Pods, Services},
    nodes::NodeHealths,
    policies::TrafficPolicies,
    releases::Releases,
    reporter::Reporter,
    routes::{Namespaces, TrafficRoutes},
    servers::Servers,
    watch::Watch,
};
use crate::{
    Update,
    convert::{NODE_HEALTH, SERVICE_NAME},
    index::ThisNode,
};

/// Events that are taken in before the changes that they make are passed on, at most.
const AT_ONCE: usize = 4096;

/// How to reach the API server, and what the cluster does not say.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What every source is told.
    pub source: crate::Options,
    /// A kubeconfig, instead of `$KUBECONFIG`, the service account of a Pod, or `~/.kube/config`.
    pub kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig, instead of its current one.
    pub context: Option<String>,
    /// Addresses of API servers, `HOST` or `HOST:PORT`, which are tried first.
    pub api_servers: Vec<String>,
    /// Where the addresses of the API servers are kept for the next start, if anywhere.
    pub state: Option<PathBuf>,
    /// How this client calls itself.
    pub user_agent: String,
}

/// The API server that is being followed.
pub struct Kubernetes {
    services: Watch<Services>,
    slices: Watch<EndpointSlices>,
    headless: Headless,
    nodes: Watch<Nodes>,
    pods: Watch<Pods>,
    policies: Watch<TrafficPolicies>,
    health: Watch<NodeHealths>,
    releases: Watch<Releases>,
    routes: Watch<TrafficRoutes>,
    gateway: Gateway,
    asking: Asking,
    asked_pods: AskedPods,
    namespaces: Demanded<Namespaces>,
    /// Whether routes may lead elsewhere than what is followed for them, or Services came or went.
    destinations_changed: bool,
    /// Changes of routes that wait for what the routes ask for to be listed.
    withheld: Vec<Change>,
    reporter: Reporter,
    servers: Arc<Servers>,
    statistics: Vec<Arc<Statistics>>,
    node: ThisNode,
    batch: Batch,
    complete: bool,
    knows_pods: bool,
    unwritten: Option<Problem>,
    told: Vec<Problem>,
}

impl Kubernetes {
    /// Prepares to follow the API server; nothing is sent yet. Must be called in a tokio runtime
    /// with I/O and time enabled.
    ///
    /// # Errors
    ///
    /// Where the configuration cannot be used; an API server that does not answer is a [`Problem`].
    pub async fn open(options: Options) -> Result<Self, ConfigurationError> {
        let mut connection = Connection::open(&options).await?;
        let unlabelled = connection::unlabelled(options.source.proxy_name.as_deref());
        let crate::Options { node, addresses, proxy_name, .. } = options.source;
        let (by_label, by_field) = (watcher::Config::default(), watcher::Config::default());
        let services = by_label.clone().labels(&unlabelled);
        let slices = by_label.labels(&format!("{SERVICE_NAME},{unlabelled}"));
        let nodes = by_field.clone().fields(&format!("metadata.name={node}"));
        let pods = by_field
            .fields(&format!("spec.nodeName={node},status.phase!=Succeeded,status.phase!=Failed"));
        let services = connection.watch(services)?;
        let slices = connection.watch(slices)?;
        let nodes = connection.watch(nodes)?;
        let pods = connection.watch(pods)?;
        let policies = connection.watch(watcher::Config::default())?;
        let releases = connection.watch(watcher::Config::default())?;
        let one = format!("metadata.name={NODE_HEALTH}");
        let health = connection.watch(watcher::Config::default().fields(&one))?;
        let routes = connection.watch(watcher::Config::default())?;
        let reporter = Reporter::start(connection.client()?, &node);
        let Connection { access, servers, mut statistics, .. } = connection;
        let gateway = Gateway::new(Arc::clone(&access));
        let asked_pods = AskedPods::new(Arc::clone(&access));
        let headless = Headless::new(Arc::clone(&access), proxy_name);
        let namespaces = Demanded::new(access, watcher::Config::default());
        statistics.extend(gateway.statistics());
        let asked = [asked_pods.statistics(), namespaces.statistics(), headless.statistics()];
        statistics.extend(asked.map(Arc::clone));
        Ok(Self {
            services,
            slices,
            headless,
            nodes,
            pods,
            policies,
            health,
            releases,
            routes,
            gateway,
            asking: Asking::default(),
            asked_pods,
            namespaces,
            destinations_changed: false,
            withheld: Vec::new(),
            reporter,
            servers,
            statistics,
            node: ThisNode::new(&node, addresses),
            batch: Batch::default(),
            complete: false,
            knows_pods: false,
            unwritten: None,
            told: Vec::new(),
        })
    }

    /// Waits for the next change. Cancel safe. What has come by then is told at once; nothing but
    /// problems is told until every list that the Plan depends on was complete once.
    pub async fn next(&mut self) -> Update {
        loop {
            tokio::select! {
                outcome = self.services.next() => self.services.take(outcome, &mut self.batch),
                outcome = self.slices.next() => self.slices.take(outcome, &mut self.batch),
                outcome = self.nodes.next() => self.nodes.take(outcome, &mut self.batch),
                outcome = self.pods.next() => self.pods.take(outcome, &mut self.batch),
                outcome = self.policies.next() => self.policies.take(outcome, &mut self.batch),
                outcome = self.health.next() => self.health.take(outcome, &mut self.batch),
                outcome = self.releases.next() => self.releases.take(outcome, &mut self.batch),
                outcome = self.routes.next() => self.routes.take(outcome, &mut self.batch),
                news = self.gateway.next() => self.gateway.take(news, &mut self.batch),
                outcome = self.asked_pods.next() => {
                    self.asked_pods.take(outcome, &mut self.batch);
                }
                outcome = self.namespaces.next() => {
                    self.namespaces.take(outcome, &mut self.batch);
                }
                outcome = self.headless.next() => self.headless.take(outcome, &mut self.batch),
                () = self.reporter.changed() => {}
            }
            self.take_waiting();
            if let Some(update) = self.update() {
                return update;
            }
        }
    }

    /// Whether Services, EndpointSlices and this Node were listed to the end once, and policies as
    /// far as the API server lists them.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// Whether the Pods of this node were listed to the end once after that, or cannot be. They are
    /// waited for by whoever needs all callers at once, as nobody does who serves connections.
    #[must_use]
    pub fn knows_pods(&self) -> bool {
        self.knows_pods
    }

    /// Replaces the addresses that the node's interfaces have.
    pub fn set_node_addresses(&mut self, addresses: Vec<IpAddr>) -> Option<Change> {
        self.node.set_given(addresses);
        if !self.complete {
            return None;
        }
        self.node.changed().map(Change::Node)
    }

    /// Tells the cluster what this node has taken out of service by itself, in its `NodeReport`: not
    /// at once, and of several that are told shortly after each other the last one alone.
    pub fn report(&self, ejected: NodeReportSpec) {
        self.reporter.report(ejected);
    }

    /// What became of each watch so far.
    #[must_use]
    pub fn statistics(&self) -> &[Arc<Statistics>] {
        &self.statistics
    }

    fn take_waiting(&mut self) {
        for _ in 0..AT_ONCE {
            let batch = &mut self.batch;
            let any = [
                self.services.take_waiting(batch),
                self.slices.take_waiting(batch),
                self.nodes.take_waiting(batch),
                self.pods.take_waiting(batch),
                self.policies.take_waiting(batch),
                self.health.take_waiting(batch),
                self.releases.take_waiting(batch),
                self.routes.take_waiting(batch),
                self.gateway.take_waiting(batch),
                self.asked_pods.take_waiting(batch),
                self.namespaces.take_waiting(batch),
                self.headless.take_waiting(batch),
            ];
            if !any.contains(&true) {
                return;
            }
        }
    }

    /// What there is to tell, if anything.
    fn update(&mut self) -> Option<Update> {
        let batch = &mut self.batch;
        if let Some(node) = batch.node.take() {
            self.node.declare(&node);
        }
        if let Some(uid) = batch.node_uid.take() {
            self.reporter.set_node(uid);
        }
        if !batch.api_servers.is_empty() {
            self.unwritten = self.servers.learn(mem::take(&mut batch.api_servers)).err();
        }
        if self.asking.take(batch) {
            self.asked_pods.ask(&self.asking, batch);
            self.namespaces.demand(self.asking.namespaces(), batch);
            self.destinations_changed = true;
        }
        let of_services =
            |change: &Change| matches!(change, Change::SetService(_) | Change::RemoveService(_));
        self.destinations_changed |= batch.changes.iter().any(of_services);
        // Which of them have addresses is known once all Services are.
        if self.destinations_changed && self.services.table.is_complete() {
            let services = &self.services.table;
            let headless = self.asking.headless(|name| services.told_of(name).is_some());
            self.headless.follow(&headless, batch);
            self.destinations_changed = false;
        }
        self.headless.keep_told(&self.slices.table, &mut batch.changes);
        let asked = self.is_asked();
        let batch = &mut self.batch;
        withhold(&mut self.withheld, asked, &mut batch.changes);
        if !self.complete {
            // The first list says what is, not what changed.
            batch.arrivals.clear();
            self.complete = self.services.table.is_complete()
                && self.slices.table.is_complete()
                && self.nodes.table.is_complete()
                // Without them members would be chosen otherwise for a moment.
                && self.policies.is_settled()
                && self.health.is_settled()
                && self.releases.is_settled()
                && self.routes.is_settled()
                && self.gateway.is_settled()
                && asked;
        }
        let problems = self.problems();
        let news = problems != self.told;
        self.told.clone_from(&problems);
        if !self.complete {
            return news.then(|| Update { problems, ..Update::default() });
        }
        let Batch { changes, pods, arrivals, .. } = mem::take(&mut self.batch);
        let node = self.node.changed().map(Change::Node);
        let changes: Vec<_> = node.into_iter().chain(changes).collect();
        let first = self.pods.is_settled() && !self.knows_pods;
        self.knows_pods |= first;
        let any = first || news || !changes.is_empty() || !pods.is_empty();
        any.then_some(Update { changes, pods, problems, arrivals })
    }

    /// Whether what routes and policies ask for was listed once, or cannot be.
    fn is_asked(&self) -> bool {
        !self.destinations_changed
            && self.asked_pods.is_settled()
            && self.namespaces.is_settled()
            && self.headless.is_settled()
    }

    fn problems(&self) -> Vec<Problem> {
        let watches = self.services.problems().chain(self.slices.problems());
        let watches = watches.chain(self.nodes.problems()).chain(self.pods.problems());
        let watches = watches.chain(self.health.problems()).chain(self.releases.problems());
        let watches = watches.chain(self.policies.problems()).chain(self.routes.problems());
        let watches = watches.chain(self.gateway.problems()).chain(self.asked_pods.problems());
        let watches = watches.chain(self.namespaces.problems()).chain(self.headless.problems());
        let written = self.unwritten.clone().into_iter().chain(self.reporter.problem());
        let mut problems: Vec<_> = watches.chain(written).collect();
        problems.sort();
        problems
    }
}

/// Lets changes of routes wait, in their order, until what they ask for is known: a subset whose Pods
/// are not known yet would be taken for an empty one.
fn withhold(withheld: &mut Vec<Change>, settled: bool, changes: &mut Vec<Change>) {
    if settled && withheld.is_empty() {
        return;
    }
    let waits = |change: &Change| matches!(change, Change::SetRoutes(..));
    let (routes, others): (Vec<_>, Vec<_>) = mem::take(changes).into_iter().partition(waits);
    withheld.extend(routes);
    *changes = others;
    if settled {
        changes.append(withheld);
    }
}

#[cfg(test)]
mod tests;
