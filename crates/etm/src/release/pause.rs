//! `etm release pause`.

use etm_api::CommandVerb;

use super::command::command;
use crate::cli::ReleaseTarget;

pub(super) async fn run(target: &ReleaseTarget) -> anyhow::Result<()> {
    command(target, CommandVerb::Pause).await
}
