//! Prints the definitions of the project's own kinds, as `deploy/` has them.

use std::io::{Write as _, stdout};

const HEAD: &str = "# Written by `cargo xtask schemas` from crates/api; do not edit.\n";

fn main() -> anyhow::Result<()> {
    // By way of JSON, which leaves out what is not set.
    let definition = serde_json::to_value(etm_api::definition())?;
    let text = serde_saphyr::to_string(&definition)?;
    Ok(stdout().write_all(format!("{HEAD}{text}").as_bytes())?)
}
