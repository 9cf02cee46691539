//! `etm detach`.

use crate::cli::DetachArgs;

pub(crate) fn run(arguments: &DetachArgs) -> anyhow::Result<()> {
    let pin = &arguments.pin.pin;
    let detached = etm_dataplane::detach(pin)?;
    println!(
        "detached {} hooks and removed {} set(s) of maps from {}",
        detached.hooks,
        detached.map_sets,
        pin.display()
    );
    Ok(())
}
