//! `etm plan`: what objects would change if they were applied, by the code that decides it.

mod comparison;
mod files;
mod keep;
mod report;
mod state;
mod text;

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context as _, bail};
use etm_model::{Affected, Options, Planner, Problem};

use self::{comparison::compare, report::Report, state::State};
use crate::{
    agent::source::{Follow, Source},
    cli::PlanArgs,
    output::print,
};

/// How long an API server may take to list what there is, and then what the objects ask for.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn run(arguments: &PlanArgs) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(plan(arguments))?;
    print(&report, || report.to_string(), arguments.output)
}

async fn plan(arguments: &PlanArgs) -> anyhow::Result<Report> {
    let proxy = arguments.source.proxy_name.as_deref();
    let supposed = files::read(&arguments.file, arguments.step, proxy)?;
    let mut problems: Vec<Problem> = supposed.problems().cloned().collect();
    let objects = supposed.len();

    let follow = Follow { user: "etm-plan", state: None, patience: PATIENCE, pods: true };
    let (mut source, first) = Source::open(&arguments.source, follow).await?;
    if !source.is_complete() && arguments.source.cluster.kubernetes {
        let why: Vec<_> = first.problems.iter().map(|problem| format!("\n  {problem}")).collect();
        bail!("the API server did not list everything within {PATIENCE:?}{}", why.concat());
    }
    let mut state = State::new(first.snapshot);
    for change in state.number_pods(first.pods) {
        state.change(change);
    }
    let mut planner = Planner::new(Options::default());
    planner.replace(state.snapshot().clone());
    let before: BTreeSet<Problem> =
        planner.problems().iter().chain(&first.problems).cloned().collect();
    let now = state.clone();

    let update = tokio::time::timeout(PATIENCE, source.suppose(supposed)).await;
    let update = update.context("the API server did not list in time what the objects ask for")?;
    let changes = keep::as_applied(update.changes, state.snapshot());
    let mut touched = BTreeSet::new();
    let mut all = false;
    let callers = state.number_pods(update.pods);
    for change in changes.iter().cloned().chain(callers.iter().cloned()) {
        match state.change(change) {
            Affected::All => all = true,
            Affected::Services(services) => touched.extend(services),
        }
    }
    if all {
        let services = now.snapshot().services.keys().chain(state.snapshot().services.keys());
        touched.extend(services.cloned());
    }
    let delta = planner.change(changes.into_iter().chain(callers));
    let after: BTreeSet<Problem> =
        planner.problems().iter().chain(&update.problems).cloned().collect();

    problems.extend(after.difference(&before).cloned());
    problems.sort();
    problems.dedup();
    Ok(Report {
        node: state.snapshot().node.name.to_string(),
        objects,
        frontends: delta.set.len() + delta.remove.len() + delta.hold.len(),
        services: compare(&now, &state, &touched),
        problems,
        mended: before.difference(&after).cloned().collect(),
    })
}
