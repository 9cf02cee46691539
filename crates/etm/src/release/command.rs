//! What somebody asks of a release: an annotation of it, which the controller acts upon once.

use std::{
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

use anyhow::{Context as _, bail};
use etm_api::{
    CommandVerb, RELEASE_COMMAND, ReleaseCommand, ReleaseCommandResult, ReleaseStatus,
    UncheckedRelease,
};
use kube::{
    Api, ResourceExt as _,
    api::{Patch, PatchParams},
};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::locate;
use crate::cli::ReleaseTarget;

/// Between two looks at what became of it.
const PAUSE: Duration = Duration::from_millis(200);

/// Asks for it, and waits until the controller has answered.
pub(super) async fn command(target: &ReleaseTarget, verb: CommandVerb) -> anyhow::Result<()> {
    let (api, name) = locate(target).await?;
    let deadline = Instant::now() + Duration::from_secs(target.wait);
    let id = ask(&api, &name, verb, deadline).await?;
    loop {
        let release = read(&api, &name).await?;
        let result = status(&release).command.filter(|result| result.id == id);
        if let Some(ReleaseCommandResult { done, message, .. }) = result {
            if !done {
                bail!("Release {}: {message}", target.name);
            }
            println!("Release {}: {message}", target.name);
            return Ok(());
        }
        if waiting(&release).is_none_or(|command| command.id != id) {
            bail!("Release {}: somebody else asks for something else instead", target.name);
        }
        if Instant::now() >= deadline {
            bail!(
                "Release {}: the controller has not answered within {} s; it will do it once it \
                 runs (kubectl get lease etm-controller says whether one leads)",
                target.name,
                target.wait
            );
        }
        sleep(PAUSE).await;
    }
}

/// Writes it down for the very version that was read, so that it is asked of the step that was seen,
/// and takes the place of no other that waits; but whoever aborts waits for nobody.
async fn ask(
    api: &Api<UncheckedRelease>,
    name: &str,
    verb: CommandVerb,
    deadline: Instant,
) -> anyhow::Result<String> {
    loop {
        let release = read(api, name).await?;
        let urgent = matches!(verb, CommandVerb::Abort | CommandVerb::Undo);
        let status = status(&release);
        let done = status.command.as_ref().map(|result| result.id.clone());
        let before = waiting(&release).filter(|command| Some(&command.id) != done.as_ref());
        if let Some(before) = before.filter(|before| !urgent && before.verb != verb) {
            bail!(
                "somebody asks for {:?} already, which the controller has not answered yet; try \
                 again once it has",
                before.verb
            );
        }
        let id = format!("{:016x}", RandomState::new().hash_one(0));
        // Whichever step a bad release is at, it is to be ended.
        let step = status.step.filter(|_| !urgent);
        let command = ReleaseCommand { id: id.clone(), verb, step };
        let patch = json!({"metadata": {
            "resourceVersion": release.resource_version(),
            "annotations": {RELEASE_COMMAND: serde_json::to_string(&command)?},
        }});
        match api.patch_metadata(name, &PatchParams::default(), &Patch::Merge(&patch)).await {
            Ok(_) => return Ok(id),
            // Somebody has written meanwhile: perhaps it is at another step.
            Err(kube::Error::Api(refusal)) if refusal.code == 409 && Instant::now() < deadline => {}
            Err(error) => return Err(error).context("could not ask the API server"),
        }
    }
}

/// Reads a release.
pub(super) async fn read(
    api: &Api<UncheckedRelease>,
    name: &str,
) -> anyhow::Result<UncheckedRelease> {
    let read = api.get_opt(name).await.context("could not ask the API server")?;
    read.with_context(|| format!("there is no Release {name}; kubectl get releases -A lists them"))
}

/// Its status, as far as it can be read.
pub(super) fn status(release: &UncheckedRelease) -> ReleaseStatus {
    serde_json::from_value(release.status.clone()).unwrap_or_default()
}

fn waiting(release: &UncheckedRelease) -> Option<ReleaseCommand> {
    serde_json::from_str(release.annotations().get(RELEASE_COMMAND)?).ok()
}
