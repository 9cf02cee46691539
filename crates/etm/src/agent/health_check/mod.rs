//! `healthCheckNodePort`: tells load balancers whether this node has endpoints of a Service.

mod answer;
mod listener;
mod server;

use std::{
    collections::{BTreeMap, BTreeSet},
    future::pending,
    io,
    sync::Arc,
    time::Duration,
};

use etm_model::{HealthCheck, Problem};
use tokio::{
    sync::watch,
    task::AbortHandle,
    time::{Instant, sleep_until},
};

use crate::agent::health::Health;

/// How often a port is tried again that could not be opened.
const RETRY: Duration = Duration::from_secs(2);

/// What there is to answer, by port, and how this agent is.
#[derive(Clone, Debug, Default)]
struct State {
    checks: Arc<BTreeMap<u16, HealthCheck>>,
    health: Health,
}

/// The ports that are served, each by a task of its own.
pub(super) struct HealthChecks {
    state: watch::Sender<State>,
    served: BTreeMap<u16, AbortHandle>,
    failed: BTreeMap<u16, io::Error>,
    retry: Option<Instant>,
}

impl HealthChecks {
    /// Nothing to serve so far.
    pub(super) fn new() -> Self {
        Self {
            state: watch::Sender::default(),
            served: BTreeMap::new(),
            failed: BTreeMap::new(),
            retry: None,
        }
    }

    /// Takes over what there is to answer; opens the ports that are new and closes those that are
    /// gone. Costs next to nothing where nothing changed.
    pub(super) fn update(&mut self, checks: &Arc<BTreeMap<u16, HealthCheck>>, health: Health) {
        let mut ports_differ = false;
        self.state.send_if_modified(|state| {
            let same = Arc::ptr_eq(&state.checks, checks);
            ports_differ = !same && !state.checks.keys().eq(checks.keys());
            let modified = !same || state.health != health;
            *state = State { checks: Arc::clone(checks), health };
            modified
        });
        if ports_differ {
            self.close(checks);
            let opened: BTreeSet<_> =
                self.served.keys().chain(self.failed.keys()).copied().collect();
            self.open(checks.keys().copied().filter(|port| !opened.contains(port)).collect());
        }
    }

    /// Tries again, when it is time to, to open what could not be opened. Cancel safe; ends after
    /// each try.
    pub(super) async fn retried(&mut self) {
        match self.retry {
            Some(at) => sleep_until(at).await,
            None => pending().await,
        }
        self.retry = None;
        let failed = std::mem::take(&mut self.failed);
        self.open(failed.into_keys().collect());
    }

    /// The ports that cannot be opened now.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let checks = Arc::clone(&self.state.borrow().checks);
        let failed = self.failed.iter();
        failed
            .filter_map(|(port, error)| {
                let check = checks.get(port)?;
                Some(Problem {
                    object: format!("Service {}", check.service),
                    field: "spec.healthCheckNodePort".into(),
                    reason: format!("port {port} cannot be served: {error}"),
                    hint: format!(
                        "another proxy may serve it already, else free it; tried again every \
                         {RETRY:?}"
                    ),
                })
            })
            .collect()
    }

    fn open(&mut self, ports: Vec<u16>) {
        for port in ports {
            match listener::open(port) {
                Ok(listener) => {
                    let state = self.state.subscribe();
                    let task = tokio::spawn(server::serve(listener, port, state));
                    self.served.insert(port, task.abort_handle());
                }
                Err(error) => {
                    self.failed.insert(port, error);
                }
            }
        }
        if !self.failed.is_empty() && self.retry.is_none() {
            self.retry = Some(Instant::now() + RETRY);
        }
    }

    fn close(&mut self, checks: &BTreeMap<u16, HealthCheck>) {
        self.failed.retain(|port, _| checks.contains_key(port));
        self.served.retain(|port, task| {
            let stays = checks.contains_key(port);
            if !stays {
                task.abort();
            }
            stays
        });
    }
}
