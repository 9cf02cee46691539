//! Who watches: asks monitors when they are due, and looks after nodes.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant as Clock},
};

use anyhow::Context as _;
use etm_controller::{Limits, Monitored, NodeWrite, Nodes, Policies, Reachable, ejections};
use etm_model::{ObjectName, Problem};
use etm_monitor::{
    Access, Asked, Monitors, Notification, Prometheus, Sample, Scope, Standing, Subjects, Trouble,
    Verdict, endpoints,
};
use etm_source::kubernetes::NodeUpdate;
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use tokio::{task::JoinSet, time::Instant};

use crate::{cli::MonitorArgs, metrics::Counts};

/// Answers that are waited for at a time.
const AT_ONCE: usize = 16;

const NO_PROMETHEUS: &str =
    "the controller was not told where Prometheus is; start it with --prometheus";
const NO_ALERTS: &str = "the controller hears no alerts; start it with --alerts";

type Answer = Result<(Subjects, Vec<Sample>), Trouble>;

pub(super) struct Watchman {
    client: Client,
    prometheus: Option<Prometheus>,
    hears: bool,
    limits: Limits,
    monitors: Monitors,
    pub(super) nodes: Nodes,
    asked: JoinSet<(Asked, Answer)>,
    verdict: Verdict,
    /// Whether monitors say something else than policies were told.
    news: bool,
    /// Whether the verdict may be another.
    stale: bool,
    /// When the next Lease runs out, at the earliest.
    lease: Option<Clock>,
}

impl Watchman {
    pub(super) fn new(client: Client, arguments: &MonitorArgs) -> anyhow::Result<Self> {
        let access = arguments.prometheus.clone().map(|url| Access {
            url,
            token_file: arguments.prometheus_token_file.clone(),
            ca_file: arguments.prometheus_ca_file.clone(),
        });
        let prometheus = access.map(Prometheus::new).transpose().context("--prometheus")?;
        let lease = arguments.node_lease_timeout.map(Duration::from);
        Ok(Self {
            client,
            prometheus,
            hears: arguments.alerts.is_some(),
            limits: Limits { lease, most_percent: arguments.max_ejected_nodes },
            monitors: Monitors::default(),
            nodes: Nodes::default(),
            asked: JoinSet::new(),
            verdict: Verdict::default(),
            news: false,
            stale: false,
            lease: None,
        })
    }

    /// The client of Prometheus, where there is one.
    pub(super) fn prometheus(&self) -> Option<Prometheus> {
        self.prometheus.clone()
    }

    /// Takes in what became of nodes; whoever leads asks their monitors.
    pub(super) fn update(&mut self, update: NodeUpdate, leads: bool) {
        let now = Clock::now();
        if update.interrupted {
            self.nodes.interrupted(self.limits, now);
        }
        let mut monitors = false;
        for change in update.changes {
            monitors |= matches!(change, etm_source::kubernetes::NodeChange::Monitor(..));
            self.stale |= self.nodes.update(change, self.limits, now);
        }
        if monitors && leads {
            self.follow_nodes();
        }
    }

    /// Takes over from the one that asked before, which has written who is out; or asks no more.
    pub(super) fn take_over(&mut self, leads: bool, policies: &mut Policies) {
        self.monitors = Monitors::default();
        self.asked = JoinSet::new();
        if !leads {
            return;
        }
        let names: Vec<_> = policies.observed().map(|observed| observed.name.clone()).collect();
        for name in names {
            self.follow(&name, policies);
        }
        self.follow_nodes();
    }

    /// Asks the monitors that a policy has now.
    pub(super) fn follow(&mut self, name: &ObjectName, policies: &mut Policies) {
        self.news = true;
        let Some(observed) = policies.get(name) else { return self.monitors.remove(name) };
        // One that makes no sense is asked as before.
        let Ok(policy) = &observed.policy else { return };
        let scope = scope(policy);
        let written = ejections(&observed.status);
        self.monitors.set(&scope, &policy.monitors, &written, Clock::now());
        self.tell(&scope, name, policies);
    }

    fn follow_nodes(&mut self) {
        (self.news, self.stale) = (true, true);
        let monitors: Vec<_> = self.nodes.monitors().cloned().collect();
        self.monitors.set(&Scope::Nodes, &monitors, &self.nodes.written(), Clock::now());
    }

    /// Takes in what Alertmanager has sent.
    pub(super) fn hear(&mut self, notification: &Notification) {
        self.monitors.hear(notification, Clock::now());
    }

    /// Asks those monitors that are due.
    pub(super) fn ask(&mut self) {
        let now = Clock::now();
        while self.asked.len() < AT_ONCE
            && let Some(asked) = self.monitors.ask(now)
        {
            let nodes = (asked.key.scope == Scope::Nodes).then(|| self.nodes.signs().subjects());
            let (client, prometheus) = (self.client.clone(), self.prometheus.clone());
            let hears = self.hears;
            self.asked.spawn(async move {
                let answer = answer(&client, prometheus, hears, &asked, nodes).await;
                (asked, answer)
            });
        }
    }

    /// Waits for an answer and takes it in. Cancel safe.
    pub(super) async fn answered(&mut self) {
        match self.asked.join_next().await {
            Some(Ok((asked, answer))) => {
                self.monitors.take(&asked, answer, Clock::now(), Timestamp::now());
                self.news = true;
            }
            Some(Err(_)) => {}
            None => std::future::pending().await,
        }
    }

    /// When something is due by itself.
    pub(super) fn wake(&self) -> Option<Instant> {
        let monitors = self.monitors.next().filter(|_| self.asked.len() < AT_ONCE);
        monitors.into_iter().chain(self.lease).min().map(Instant::from_std)
    }

    /// Takes it in that time has passed.
    pub(super) fn expire(&mut self) {
        let now = Clock::now();
        self.monitors.expire(now);
        self.news = true;
        self.stale |= self.lease.is_some_and(|lease| lease <= now);
    }

    /// Tells policies what their monitors say, and looks anew which nodes are out; says whether there
    /// was anything to look at.
    pub(super) fn judge(&mut self, policies: &mut Policies) -> bool {
        if std::mem::take(&mut self.news) {
            let scopes: Vec<_> = policies
                .observed()
                .filter_map(|observed| observed.policy.as_ref().ok())
                .filter(|policy| !policy.monitors.is_empty())
                .map(|policy| (scope(policy), policy.name.clone()))
                .collect();
            for (scope, name) in scopes {
                self.tell(&scope, &name, policies);
            }
            let names: Vec<_> = self.nodes.monitors().map(|one| one.name.clone()).collect();
            for name in names {
                let own = self.monitors.standings(&Scope::Nodes).filter(|(one, _)| **one == name);
                let reachable = Reachable::of(own);
                self.nodes.set_reachable(&name, reachable);
            }
            self.stale = true;
        }
        let stale = std::mem::take(&mut self.stale);
        if stale {
            let now = Clock::now();
            let ejected = self.monitors.ejected(&Scope::Nodes);
            self.verdict = self.nodes.verdict(self.limits, &ejected, now);
            self.lease = self.nodes.signs().next(self.limits.lease, now);
        }
        stale
    }

    /// Nodes of which nobody may be left to say anything: they are not ready, or their Lease ran out.
    /// Where too many seem so, none is.
    pub(super) fn lost(&self) -> BTreeSet<Arc<str>> {
        let lost = self.verdict.bad.iter().filter(|_| !self.verdict.too_many);
        let lost = lost.filter(|bad| matches!(bad.reason, "NotReady" | "LeaseExpired"));
        lost.map(|bad| Arc::clone(&bad.node)).collect()
    }

    fn tell(&self, scope: &Scope, name: &ObjectName, policies: &mut Policies) {
        let reachable = Reachable::of(self.monitors.standings(scope));
        let ejected = self.monitors.ejected(scope);
        policies.set_monitored(name, Monitored { reachable, ejected });
    }

    /// What is to be written of nodes.
    pub(super) fn due(&self, time: Timestamp) -> Option<NodeWrite> {
        self.nodes.next(&self.verdict, self.limits, time)
    }

    /// What monitors and nodes say, in numbers.
    pub(super) fn counts(&self) -> Counts {
        let out = if self.verdict.too_many { 0 } else { self.verdict.nodes.1 };
        let (monitors, pods) = (self.monitors.count(), self.monitors.pods());
        Counts { monitors, pods, nodes: self.verdict.nodes, out }
    }

    /// What is wrong with monitors, nodes, and what is written of them.
    pub(super) fn problems(&self) -> impl Iterator<Item = Problem> {
        let failing = self.monitors.all().filter_map(|(key, standing)| match standing {
            Standing::Failing(trouble) => Some(problem(&key.scope, &key.name, trouble)),
            Standing::Pending | Standing::Reachable => None,
        });
        failing.chain(self.verdict.too_many.then(too_many)).chain(self.nodes.problems())
    }
}

fn scope(policy: &etm_model::Policy) -> Scope {
    Scope::Policy(policy.name.clone(), policy.service.clone())
}

/// Asks one monitor, and for those whom it may speak of.
async fn answer(
    client: &Client,
    prometheus: Option<Prometheus>,
    hears: bool,
    asked: &Asked,
    nodes: Option<Subjects>,
) -> Answer {
    let subjects = async {
        match (&asked.key.scope, nodes) {
            (_, Some(nodes)) => Ok(nodes),
            (Scope::Policy(policy, service), None) => {
                endpoints(client, &policy.namespace, service).await
            }
            (Scope::Nodes, None) => Ok(Subjects::default()),
        }
    };
    let Some(query) = &asked.query else {
        let subjects = subjects.await?;
        return if hears {
            Ok((subjects, Vec::new()))
        } else {
            Err(Trouble::NotConfigured(NO_ALERTS))
        };
    };
    let prometheus = prometheus.ok_or(Trouble::NotConfigured(NO_PROMETHEUS))?;
    tokio::try_join!(subjects, prometheus.query(&query.text, query.timeout))
}

fn problem(scope: &Scope, name: &str, trouble: &Trouble) -> Problem {
    let (object, field) = match scope {
        Scope::Policy(policy, _) => {
            (format!("TrafficPolicy {policy}"), format!("spec.monitors[{name}]"))
        }
        Scope::Nodes => (format!("NodeMonitor {name}"), "spec".to_owned()),
    };
    let hint = "nobody new is ejected by it, and who is returns after holdTime, or twice \
                repeatInterval";
    Problem { object, field, reason: trouble.to_string(), hint: hint.to_owned() }
}

fn too_many() -> Problem {
    Problem {
        object: "NodeHealth cluster".to_owned(),
        field: "status.ejected".to_owned(),
        reason: "more nodes are bad than may be ejected".to_owned(),
        hint: "none is ejected; look at the nodes (kubectl get nodes), or raise \
               --max-ejected-nodes"
            .to_owned(),
    }
}
