//! `etm agent`: follows the cluster's state and keeps the kernel's maps equal to it.

mod callers;
mod events;
mod health;
mod health_check;
pub(crate) mod node;
mod outcomes;
mod reconciler;
pub(crate) mod source;
mod stale;
mod verdicts;

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use etm_dataplane::{Config, Dataplane, cgroup2_root, netns_cookie};
use etm_model::{GRACE, Limits, Options, Planner, Problem};
use sd_notify::NotifyState;
use tokio::{
    signal::unix::{SignalKind, signal},
    task,
    time::{Instant, sleep_until},
};
use tracing::{info, warn};

use crate::{
    admin,
    agent::{
        callers::CallerWatch,
        events::{EventStream, Told},
        health_check::HealthChecks,
        node::AddressWatch,
        outcomes::Outcomes,
        reconciler::Reconciler,
        source::{Follow, Source},
    },
    cli::{AgentArgs, StaleConnections, UnknownPort},
    logging,
    metrics::Metrics,
    problems::Problems,
    state::State,
};

/// How long after a failed write the maps are read back and written again: the ledger that is read
/// back does not know what was retired, so its grace must have passed.
const RETRY: Duration = GRACE;

/// Longest sleep; what has no deadline is looked at this often all the same.
const IDLE: Duration = Duration::from_secs(3600);

/// How long the start waits for the first lists of an API server. One that is longer in coming
/// changes nothing until it comes.
const FIRST_LISTS: Duration = Duration::from_secs(5);

pub(crate) fn run(arguments: AgentArgs) -> anyhow::Result<()> {
    logging::init();
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(agent(arguments))
}

async fn agent(arguments: AgentArgs) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut addresses = AddressWatch::open().context("could not follow this host's addresses")?;
    let state = Arc::new(State::default());
    let state_directory = Some(arguments.source.cluster.state.clone());
    let follow =
        Follow { user: "etm-agent", state: state_directory, patience: FIRST_LISTS, pods: false };
    let config = dataplane_config(&arguments)?;
    let cgroup = config.cgroup.clone();
    // The kernel verifies the programs while the source is read.
    let loading = task::spawn_blocking(move || Dataplane::open(config));
    let opened = tokio::select! {
        opened = Source::open(&arguments.source, follow) => opened.map(Some),
        _ = terminate.recv() => Ok(None),
        _ = interrupt.recv() => Ok(None),
    };
    let loaded = loading.await?;
    let (mut source, first, dataplane) = match opened {
        Ok(Some((source, first))) => (source, first, loaded?),
        other => {
            loaded.map(Dataplane::abandon).ok();
            return other.map(drop);
        }
    };
    let metrics = Arc::new(Metrics::new(source.statistics(), Arc::clone(&state)));
    if let Some(address) = arguments.admin {
        admin::serve(address, metrics.registry(), Arc::clone(&state)).await?;
    }
    let mut outcomes = Outcomes::open(&arguments).await?;
    let mut problems = Problems::new(Arc::clone(&state));
    problems.set_source(first.problems);
    let mut planner = Planner::new(options(&arguments));
    planner.replace(first.snapshot);

    if !dataplane.has_errno() {
        warn!("this kernel is older than 5.18: refused callers see EPERM instead of ECONNREFUSED");
    }
    metrics.set_kernel(dataplane.counters()?);
    let mut events = EventStream::open(&dataplane)?;
    let complete = source.is_complete();
    if !complete {
        warn!("{}", source.incomplete());
    }
    let written = dataplane.callers().context("could not read the map of callers")?;
    let mut callers = CallerWatch::open(&cgroup, first.pods, written)?;
    planner.change(callers.take_changes());
    let ends_stale = arguments.stale_connections == StaleConnections::End;
    let mut reconciler = Reconciler::adopt(dataplane, planner, metrics, complete, ends_stale)?;
    callers.write(&mut reconciler);
    let ready = reconciler.attach()?;
    state.set_ready(complete);
    let mut health_checks = HealthChecks::new();
    health_checks.update(&reconciler.plan().health_checks, reconciler.health());
    problems.report(all_problems(&reconciler, &callers, &health_checks));
    report(&source, &mut reconciler);
    println!("{ready}");
    let _ = sd_notify::notify(&[NotifyState::Ready, NotifyState::Status(&ready)]);

    loop {
        let due = [reconciler.next_due(), callers.next_due()].into_iter().flatten().min();
        let due = due.unwrap_or(IDLE);
        tokio::select! {
            update = source.next() => {
                let update = update?;
                problems.set_source(update.problems);
                callers.take_pods(update.pods);
                let changes = update.changes.into_iter().chain(callers.take_changes());
                if source.is_complete() {
                    reconciler.complete(changes, update.arrivals);
                    state.set_ready(true);
                } else {
                    reconciler.change(changes, update.arrivals);
                }
            }
            changed = addresses.changed() => {
                let current = changed.context("could not follow this host's addresses")?;
                reconciler.change(source.set_node_addresses(current), Vec::new());
            }
            () = sleep_until(Instant::now() + due) => reconciler.due(),
            changes = callers.next() => callers.take_cgroups(changes?),
            () = health_checks.retried() => {}
            Some(probed) = reconciler.next_probed() => reconciler.probed(probed),
            asked = outcomes.next() => {
                let report = reconciler.outcomes(&asked.question);
                asked.answer(report);
            }
            Some(told) = events.next() => match told {
                Told::Refused(event) => reconciler.refused(&event),
                Told::Health(ejection) => reconciler.judged(&ejection),
            },
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
        callers.write(&mut reconciler);
        report(&source, &mut reconciler);
        health_checks.update(&reconciler.plan().health_checks, reconciler.health());
        problems.report(all_problems(&reconciler, &callers, &health_checks));
    }
    let _ = sd_notify::notify(&[NotifyState::Stopping]);
    info!("stopping; the data path goes on, `etm detach` would remove it");
    Ok(())
}

/// Tells the cluster what is out, once it is known whose each backend is.
fn report(source: &Source, reconciler: &mut Reconciler) {
    if source.is_complete()
        && let Some(ejected) = reconciler.report()
    {
        source.report(ejected);
    }
}

/// What does not come from the source.
fn all_problems(
    reconciler: &Reconciler,
    callers: &CallerWatch,
    health_checks: &HealthChecks,
) -> impl Iterator<Item = Problem> {
    reconciler.problems().chain(callers.problems()).chain(health_checks.problems())
}

fn dataplane_config(arguments: &AgentArgs) -> anyhow::Result<Config> {
    let cgroup = match &arguments.cgroup {
        Some(cgroup) => cgroup.clone(),
        None => cgroup2_root()?,
    };
    let node_netns = netns_cookie().unwrap_or_else(|error| {
        warn!(%error, "node ports are not served on loopback: the kernel tells no namespace cookie");
        0
    });
    Ok(Config {
        cgroup,
        pin: arguments.pin.pin.clone(),
        limits: Limits {
            frontends: arguments.max_frontends,
            backends: arguments.max_backends,
            slots: arguments.max_slots,
            routes: arguments.max_route_lines,
        },
        clients: arguments.max_clients,
        refuse_unknown_port: arguments.unknown_port == UnknownPort::Refuse,
        node_netns,
    })
}

fn options(arguments: &AgentArgs) -> Options {
    Options {
        unknown_port: match arguments.unknown_port {
            UnknownPort::Pass => etm_model::UnknownPort::Pass,
            UnknownPort::Refuse => etm_model::UnknownPort::Refuse,
        },
        ..Options::default()
    }
}
