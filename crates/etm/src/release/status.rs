//! `etm release status`.

use std::fmt::Write as _;

use etm_api::{ReleaseEvent, ReleaseStatus};

use super::{
    command::{read, status},
    locate,
};
use crate::{cli::ReleaseStatusArgs, output};

pub(super) async fn run(arguments: &ReleaseStatusArgs) -> anyhow::Result<()> {
    let (api, name) = locate(&arguments.target).await?;
    let status = status(&read(&api, &name).await?);
    output::print(&status, || text(&arguments.target.name, &status), arguments.output)
}

fn text(name: &str, status: &ReleaseStatus) -> String {
    let mut text = format!("Release {name}: ");
    let Some(phase) = status.phase else {
        return text + "no controller has looked at it yet\n";
    };
    let _ = write!(text, "{phase:?}");
    if let (Some(step), Some(steps)) = (status.step, status.steps) {
        let _ = write!(text, ", step {step} of 0 to {}", steps - 1);
    }
    if let Some(since) = &status.since {
        let _ = write!(text, ", since {:.0}", since.0);
    }
    let _ = writeln!(text, "\n  {}", status.message);
    for condition in &status.conditions {
        let (of, is, reason) = (&condition.type_, &condition.status, &condition.reason);
        let _ = writeln!(text, "  {of}: {is} ({reason}) {}", condition.message);
    }
    for ReleaseEvent { time, step, reason, message } in &status.history {
        let step = step.map(|step| format!(" step {step}:")).unwrap_or_default();
        let _ = writeln!(text, "  {:.0}{step} {reason}: {message}", time.0);
    }
    text
}
