//! `etm agent`: follows the cluster's state and keeps the kernel's maps equal to it.

mod events;
mod health;
mod health_check;
mod node;
mod problems;
mod reconciler;

use std::time::Duration;

use anyhow::Context as _;
use etm_dataplane::{Config, Dataplane, cgroup2_root, netns_cookie};
use etm_model::{GRACE, Limits, Options, Planner};
use etm_source::Manifests;
use sd_notify::NotifyState;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{Instant, sleep_until},
};
use tracing::{info, warn};

use crate::{
    agent::{
        events::EventStream, health_check::HealthChecks, node::AddressWatch, problems::Problems,
        reconciler::Reconciler,
    },
    cli::{AgentArgs, UnknownPort},
    logging,
};

/// How long after a failed write the maps are read back and written again: the ledger that is read
/// back does not know what was retired, so its grace must have passed.
const RETRY: Duration = GRACE;

/// Longest sleep; what has no deadline is looked at this often all the same.
const IDLE: Duration = Duration::from_secs(3600);

/// How many of the files that could not be read are named in one line.
const UNKNOWN_TOLD: usize = 8;

pub(crate) fn run(arguments: AgentArgs) -> anyhow::Result<()> {
    logging::init();
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(agent(arguments))
}

async fn agent(arguments: AgentArgs) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut addresses = AddressWatch::open().context("could not follow this host's addresses")?;
    let (mut manifests, snapshot, found) =
        Manifests::open(&arguments.manifests, source_options(&arguments)?)?;
    let mut problems = Problems::default();
    problems.set_source(found);
    let mut planner = Planner::new(options(&arguments));
    planner.replace(snapshot);

    let dataplane = Dataplane::open(dataplane_config(&arguments)?)?;
    if !dataplane.has_errno() {
        warn!("this kernel is older than 5.18: refused callers see EPERM instead of ECONNREFUSED");
    }
    let mut events = EventStream::open(&dataplane)?;
    let complete = manifests.is_complete();
    if !complete {
        warn!("{}", incomplete(&manifests));
    }
    let mut reconciler = Reconciler::adopt(dataplane, planner, complete)?;
    let ready = reconciler.attach()?;
    let mut health_checks = HealthChecks::new();
    health_checks.update(&reconciler.plan().health_checks, reconciler.health());
    problems.report(reconciler.problems().chain(health_checks.problems()));
    println!("{ready}");
    let _ = sd_notify::notify(&[NotifyState::Ready, NotifyState::Status(&ready)]);

    loop {
        tokio::select! {
            update = manifests.next() => {
                let update = update.context("could not follow the manifests")?;
                problems.set_source(update.problems);
                if manifests.is_complete() {
                    reconciler.complete(update.changes);
                } else {
                    reconciler.change(update.changes);
                }
            }
            changed = addresses.changed() => {
                let current = changed.context("could not follow this host's addresses")?;
                reconciler.change(manifests.set_node_addresses(current));
            }
            () = sleep_until(Instant::now() + reconciler.next_due().unwrap_or(IDLE)) => {
                reconciler.due();
            }
            () = health_checks.retried() => {}
            Some(event) = events.next() => reconciler.refused(&event),
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
        health_checks.update(&reconciler.plan().health_checks, reconciler.health());
        problems.report(reconciler.problems().chain(health_checks.problems()));
    }
    let _ = sd_notify::notify(&[NotifyState::Stopping]);
    info!("stopping; the data path goes on, `etm detach` would remove it");
    Ok(())
}

/// What it means that some files are broken at the start.
fn incomplete(manifests: &Manifests) -> String {
    let names: Vec<_> = manifests.unknown_files().collect();
    let mut told = names.iter().take(UNKNOWN_TOLD).copied().collect::<Vec<_>>().join(", ");
    if names.len() > UNKNOWN_TOLD {
        told = format!("{told}, ...");
    }
    let files = if names.len() == 1 { "file" } else { "files" };
    format!(
        "incomplete: {} {files} broken at the start: {told} (frontends in the maps stay as they \
         were, unless other files change them, until each is mended or removed)",
        names.len()
    )
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
        },
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

fn source_options(arguments: &AgentArgs) -> anyhow::Result<etm_source::Options> {
    let node = match &arguments.node {
        Some(node) => node.clone(),
        None => node::host_name().context("this host has no name: name the node with --node")?,
    };
    Ok(etm_source::Options {
        node,
        addresses: node::addresses()?,
        proxy_name: arguments.proxy_name.clone(),
    })
}
