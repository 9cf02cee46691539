//! `etm controller`: writes the status of traffic policies, if it is the one that does.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use etm_controller::{Election, Leadership, NAME, Outcome, Policies, StatusWrite, write};
use etm_model::Problem;
use etm_source::kubernetes::{Options, PolicyUpdate, PolicyWatch};
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{Instant, sleep_until},
};
use tracing::{debug, info};

use crate::{
    admin, agent::node, cli::ControllerArgs, logging, metrics::ControllerMetrics,
    problems::Problems, state::State,
};

/// How long nothing is written after a write failed: what is wrong is mostly so for all of them.
const RETRY: Duration = Duration::from_secs(5);

pub(crate) fn run(arguments: ControllerArgs) -> anyhow::Result<()> {
    logging::init();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(controller(arguments))
}

async fn controller(arguments: ControllerArgs) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut source = PolicyWatch::open(&options(&arguments)).await?;
    let client = source.client();
    let namespace = arguments.namespace.unwrap_or_else(|| client.default_namespace().to_owned());
    let state = Arc::new(State::default());
    let metrics = ControllerMetrics::new(source.statistics(), Arc::clone(&state));
    if let Some(address) = arguments.admin {
        admin::serve(address, metrics.registry(), Arc::clone(&state)).await?;
    }
    let identity = identity()?;
    let election = Election::start(client.clone(), &namespace, NAME, identity.clone());
    let mut leadership = election.leadership();
    let mut controller = Controller::new(client, leadership.clone(), state, metrics, identity);
    loop {
        let (due, resume) = (controller.due(), controller.resume);
        tokio::select! {
            biased;
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            () = leadership.changed() => {}
            // Before each write, so that what is written is about what is known.
            update = source.next() => {
                let complete = source.is_complete();
                controller.update(update, complete, &namespace);
            }
            () = sleep_until(resume), if due.is_some() => {
                if let Some(due) = due {
                    controller.write(&due).await;
                }
            }
        }
        controller.report();
    }
    info!("stopping; the status of policies stays as it is");
    drop(controller);
    election.end().await;
    Ok(())
}

struct Controller {
    client: Client,
    leadership: Leadership,
    policies: Policies,
    problems: Problems,
    state: Arc<State>,
    metrics: ControllerMetrics,
    identity: String,
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
    ) -> Self {
        Self {
            client,
            leadership,
            policies: Policies::default(),
            problems: Problems::new(Arc::clone(&state)),
            state,
            metrics,
            identity,
            led: false,
            resume: Instant::now(),
        }
    }

    fn update(&mut self, mut update: PolicyUpdate, complete: bool, namespace: &str) {
        self.problems.set_source(std::mem::take(&mut update.problems));
        self.policies.update(update);
        self.metrics.policies(self.policies.count());
        if complete && !self.state.is_ready() {
            self.state.set_ready(true);
            let (all, accepted) = self.policies.count();
            println!(
                "ready: {all} policies, of which {accepted} are accepted; Lease {namespace}/{NAME}"
            );
        }
    }

    /// What this process has to write, if it is the one that does.
    fn due(&self) -> Option<StatusWrite> {
        self.leadership.until()?;
        self.policies.next(Timestamp::now())
    }

    async fn write(&mut self, due: &StatusWrite) {
        // Time may have passed since: whoever was stopped for a while leads no more.
        let Some(until) = self.leadership.until() else { return };
        let outcome = write(&self.client, due, until).await;
        debug!(policy = %due.name, ?outcome, "status");
        self.metrics.wrote(match outcome {
            Outcome::Written => "written",
            Outcome::Overtaken => "overtaken",
            Outcome::Refused(_) => "refused",
            Outcome::Failed(_) => "failed",
        });
        if matches!(outcome, Outcome::Failed(_)) {
            self.resume = Instant::now() + RETRY;
        }
        self.policies.note(due, &outcome);
    }

    fn report(&mut self) {
        let leads = self.leadership.until().is_some();
        if leads != self.led {
            self.led = leads;
            self.metrics.leads(leads);
            // That of one that could not be renewed is still in its own name.
            let other = self.leadership.holder().filter(|holder| *holder != self.identity);
            match (leads, other) {
                (true, _) => info!("leads: writes the status of policies"),
                (false, Some(holder)) => info!("no longer leads: {holder} does"),
                (false, None) => info!("no longer leads"),
            }
        }
        let lease: Option<Problem> = self.leadership.problem();
        let others: Vec<_> = self.policies.problems().chain(lease).collect();
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
