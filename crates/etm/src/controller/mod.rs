//! `etm controller`: asks monitors, looks after nodes, and writes the status of etm's kinds, if it is
//! the one that does.

mod alerts;
mod announcer;
mod due;
mod overseer;
mod watchman;

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
};

use anyhow::Context as _;
use etm_controller::{Election, Leadership, NAME, Policies, Routes};
use etm_model::{Problem, route_conditions};
use etm_source::kubernetes::{
    NodeUpdate, NodeWatch, Options, PolicyUpdate, PolicyWatch, ReleaseUpdate, ReleaseWatch,
    ReportUpdate, ReportWatch,
};
use kube::Client;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{Instant, sleep_until},
};
use tracing::info;

use alerts::Alerts;
use announcer::Announcer;
use overseer::Overseer;
use watchman::Watchman;

use crate::{
    admin, agent::node, cli::ControllerArgs, logging, metrics::ControllerMetrics,
    problems::Problems, state::State,
};

pub(crate) fn run(arguments: ControllerArgs) -> anyhow::Result<()> {
    logging::init();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(controller(arguments))
}

async fn controller(arguments: ControllerArgs) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let options = options(&arguments);
    let mut source = PolicyWatch::open(&options).await?;
    let mut node_source = NodeWatch::open(&options).await?;
    let mut report_source = ReportWatch::open(&options).await?;
    let mut release_source = ReleaseWatch::open(&options).await?;
    let client = source.client();
    let mut listener = Alerts::open(&arguments.monitors).await?;
    let watchman = Watchman::new(client.clone(), &arguments.monitors)?;
    let prometheus = watchman.prometheus();
    let namespace = arguments.namespace.unwrap_or_else(|| client.default_namespace().to_owned());
    let state = Arc::new(State::default());
    let overseer = Overseer::new(client.clone(), prometheus, &namespace, &arguments.outcomes);
    let watches = [
        source.statistics(),
        node_source.statistics(),
        report_source.statistics(),
        release_source.statistics(),
    ];
    let watches = watches.concat();
    let metrics = ControllerMetrics::new(&watches, Arc::clone(&state));
    if let Some(address) = arguments.admin {
        admin::serve(address, metrics.registry(), Arc::clone(&state)).await?;
    }
    let identity = identity()?;
    let election = Election::start(client.clone(), &namespace, NAME, identity.clone());
    let mut leadership = election.leadership();
    let mut controller =
        Controller::new(client, leadership.clone(), state, metrics, identity, watchman, overseer);
    loop {
        listener.set_leading(controller.led);
        let (due, resume) = (controller.due(), controller.resume);
        let wake = controller.watchman.wake();
        let telling = controller.announcer.wake();
        let look = controller.overseer.wake().filter(|_| controller.led);
        tokio::select! {
            biased;
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            () = leadership.changed() => {}
            // Before each write, so that what is written is about what is known.
            update = source.next() => controller.update(update),
            update = node_source.next() => controller.update_nodes(update),
            update = report_source.next() => controller.update_reports(update),
            update = release_source.next() => controller.update_releases(update),
            notification = listener.next() => controller.watchman.hear(&notification),
            () = controller.watchman.answered() => {}
            () = controller.overseer.looked() => {}
            () = sleep_until(look.unwrap_or_else(Instant::now)), if look.is_some() => {}
            () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {
                controller.watchman.expire();
            }
            () = controller.announcer.done() => {}
            () = sleep_until(telling.unwrap_or_else(Instant::now)), if telling.is_some() => {}
            () = sleep_until(resume), if due.is_some() => {
                if let Some(due) = due {
                    controller.write(&due).await;
                }
            }
        }
        controller.lead();
        controller.judge();
        let complete =
            source.is_complete() && node_source.is_complete() && report_source.is_complete();
        controller.ready(complete && release_source.is_complete(), &namespace);
        controller.report();
    }
    info!("stopping; the status of policies, routes, releases and nodes stays as it is");
    drop(controller);
    election.end().await;
    Ok(())
}

struct Controller {
    client: Client,
    leadership: Leadership,
    policies: Policies,
    routes: Routes,
    watchman: Watchman,
    announcer: Announcer,
    overseer: Overseer,
    problems: Problems,
    policy_problems: Vec<Problem>,
    node_problems: Vec<Problem>,
    report_problems: Vec<Problem>,
    release_problems: Vec<Problem>,
    state: Arc<State>,
    metrics: ControllerMetrics,
    identity: String,
    /// Whether this process writes, and knows what the one before it has written.
    led: bool,
    /// When the next write may be sent.
    resume: Instant,
}

impl Controller {
    fn new(
        client: Client,
        leadership: Leadership,
        state: Arc<State>,
        metrics: ControllerMetrics,
        identity: String,
        watchman: Watchman,
        overseer: Overseer,
    ) -> Self {
        Self {
            announcer: Announcer::new(client.clone(), identity.clone()),
            client,
            leadership,
            policies: Policies::default(),
            routes: Routes::default(),
            watchman,
            overseer,
            problems: Problems::new(Arc::clone(&state)),
            policy_problems: Vec::new(),
            node_problems: Vec::new(),
            report_problems: Vec::new(),
            release_problems: Vec::new(),
            state,
            metrics,
            identity,
            led: false,
            resume: Instant::now(),
        }
    }

    fn update(&mut self, mut update: PolicyUpdate) {
        self.policy_problems = std::mem::take(&mut update.problems);
        let changed: Vec<_> = update.policies.iter().map(|(name, _)| name.clone()).collect();
        let routes = std::mem::take(&mut update.routes);
        let touched = !routes.is_empty() || !update.changes.is_empty();
        self.policies.update(update);
        self.metrics.policies(self.policies.count());
        if touched {
            let snapshot = self.policies.snapshot();
            let conditions = route_conditions(snapshot);
            self.routes.update(routes, &conditions);
            self.overseer.releases.judge(snapshot, &conditions);
            self.metrics.routes(self.routes.count());
        }
        if self.led {
            for name in changed {
                self.watchman.follow(&name, &mut self.policies);
            }
        }
    }

    fn update_nodes(&mut self, mut update: NodeUpdate) {
        self.node_problems = std::mem::take(&mut update.problems);
        self.watchman.update(update, self.led);
    }

    fn update_reports(&mut self, update: ReportUpdate) {
        self.report_problems = update.problems;
        self.announcer.update(update.changed);
    }

    fn update_releases(&mut self, mut update: ReleaseUpdate) {
        self.release_problems = std::mem::take(&mut update.problems);
        self.overseer.update(update);
        self.metrics.releases(self.overseer.releases.count());
    }

    fn ready(&mut self, complete: bool, namespace: &str) {
        if !complete || self.state.is_ready() {
            return;
        }
        self.state.set_ready(true);
        let (all, accepted) = self.policies.count();
        let nodes = self.watchman.nodes.signs().len();
        println!(
            "ready: {all} policies, of which {accepted} are accepted; {nodes} nodes; Lease \
             {namespace}/{NAME}"
        );
    }

    /// Takes over from the one that wrote before, or lets go.
    fn lead(&mut self) {
        let leads = self.leadership.until().is_some();
        if leads == self.led {
            return;
        }
        self.led = leads;
        self.metrics.leads(leads);
        self.watchman.take_over(leads, &mut self.policies);
        self.announcer.lead(leads);
        self.overseer.take_over(leads);
        // That of one that could not be renewed is still in its own name.
        let other = self.leadership.holder().filter(|holder| *holder != self.identity);
        match (leads, other) {
            (true, _) => info!("leads: writes the status of policies, routes and nodes"),
            (false, Some(holder)) => info!("no longer leads: {holder} does"),
            (false, None) => info!("no longer leads"),
        }
    }

    /// Brings what is to be written up to what is known.
    fn judge(&mut self) {
        if self.led {
            self.watchman.ask();
            if self.watchman.judge(&mut self.policies) {
                self.announcer.judged(&self.policies, self.watchman.lost());
            }
            let until = self.leadership.until().filter(|_| self.state.is_ready());
            self.announcer.announce(until);
            self.overseer.look();
        }
        self.metrics.monitors(self.watchman.counts());
    }

    fn report(&mut self) {
        let lease: Option<Problem> = self.leadership.problem();
        let watches = self.policy_problems.iter().chain(&self.node_problems);
        let watches = watches.chain(&self.report_problems).chain(&self.release_problems).cloned();
        self.problems.set_source(watches.collect());
        let others = self.policies.problems().chain(self.routes.problems()).chain(lease);
        let others = others.chain(self.announcer.problem());
        let others = others.chain(self.overseer.releases.problems());
        let others: Vec<_> = others.chain(self.watchman.problems()).collect();
        self.problems.report(others.into_iter());
    }
}

fn options(arguments: &ControllerArgs) -> Options {
    let server = &arguments.server;
    let source = etm_source::Options {
        proxy_name: arguments.proxy_name.clone(),
        ..etm_source::Options::default()
    };
    Options {
        source,
        kubeconfig: server.kubeconfig.clone(),
        context: server.context.clone(),
        api_servers: server.api_server.clone(),
        state: None,
        user_agent: format!("{NAME}/{}", env!("CARGO_PKG_VERSION")),
    }
}

/// The host's name, which is the Pod's, and what tells this process from those before it.
fn identity() -> anyhow::Result<String> {
    let host = node::host_name().context("this host has no name: give it one")?;
    Ok(format!("{host}_{:016x}", RandomState::new().hash_one(0)))
}
