//! `schemas`: the definitions of etm's own kinds, where each way of installing takes them from.

use std::fs;

use anyhow::{Context, Result};

use crate::process;
use crate::workspace::Workspace;

/// Kustomize and `etm install` take the one, Helm the other: a chart holds no files but its own.
const PLACES: [&str; 2] = [
    "deploy/kustomize/crds/trafficpolicies.etm.dev.yaml",
    "deploy/helm/etm/crds/trafficpolicies.etm.dev.yaml",
];

/// Writes them from the types in `crates/api`.
pub(crate) fn write(workspace: &Workspace) -> Result<()> {
    let print = ["run", "--quiet", "--package", "etm-api", "--example", "schemas"];
    let text = process::output(workspace.cargo().args(print))?;
    for place in PLACES {
        let path = workspace.root.join(place);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
        }
        fs::write(&path, &text).with_context(|| format!("write {}", path.display()))?;
        println!("{place}");
    }
    Ok(())
}
