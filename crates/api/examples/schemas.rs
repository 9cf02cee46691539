//! Writes the definitions of the project's own kinds into a folder, as `deploy/` has them.

use std::{env, fs, path::Path};

use anyhow::Context as _;

const HEAD: &str = "# Written by `cargo xtask schemas` from crates/api; do not edit.\n";

fn main() -> anyhow::Result<()> {
    for folder in env::args_os().skip(1) {
        let folder = Path::new(&folder);
        fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
        for definition in etm_api::definitions() {
            let name = definition.metadata.name.clone().context("a definition without a name")?;
            // By way of JSON, which leaves out what is not set.
            let text = serde_saphyr::to_string(&serde_json::to_value(definition)?)?;
            let path = folder.join(format!("{name}.yaml"));
            fs::write(&path, format!("{HEAD}{text}"))
                .with_context(|| format!("write {}", path.display()))?;
            println!("{}", path.display());
        }
    }
    Ok(())
}
