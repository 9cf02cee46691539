//! `etm detach`.

use anyhow::{Context as _, bail};
use etm_dataplane::OpenError;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::DetachArgs;

pub(crate) fn run(arguments: &DetachArgs) -> anyhow::Result<()> {
    if !arguments.stay {
        return detach(arguments);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // From here on it ends as it should whenever it is told to.
        let mut terminate = ending(SignalKind::terminate())?;
        let mut interrupt = ending(SignalKind::interrupt())?;
        detach(arguments)?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        Ok(())
    })
}

fn detach(arguments: &DetachArgs) -> anyhow::Result<()> {
    let pin = &arguments.pin.pin;
    match etm_dataplane::detach(pin) {
        Ok(detached) => println!(
            "detached {} hooks and removed {} set(s) of maps from {}",
            detached.hooks,
            detached.map_sets,
            pin.display()
        ),
        // A Pod is started anew on a node where it has done its work already.
        Err(OpenError::Absent { .. }) if arguments.stay => {
            println!("nothing is pinned in {}", pin.display());
        }
        Err(OpenError::Locked { path }) => {
            bail!("an agent serves {}: stop it first", path.display());
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

fn ending(kind: SignalKind) -> anyhow::Result<Signal> {
    signal(kind).context("could not wait for signals")
}
