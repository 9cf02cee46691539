//! `etm detach`.

use anyhow::Context as _;
use etm_dataplane::OpenError;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::DetachArgs;

pub(crate) fn run(arguments: &DetachArgs) -> anyhow::Result<()> {
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
        Err(error) => return Err(error.into()),
    }
    if arguments.stay { stay() } else { Ok(()) }
}

/// Waits for SIGTERM or SIGINT.
fn stay() -> anyhow::Result<()> {
    let wait = async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        anyhow::Ok(())
    };
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .and_then(|runtime| Ok(runtime.block_on(wait)))
        .context("could not wait")?
}
