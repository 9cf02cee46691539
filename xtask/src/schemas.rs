//! `schemas`: the definitions of etm's own kinds, where each way of installing takes them from.

use anyhow::Result;

use crate::process;
use crate::workspace::Workspace;

/// Kustomize and `etm install` take the one, Helm the other: a chart holds no files but its own.
const FOLDERS: [&str; 2] = ["deploy/kustomize/crds", "deploy/helm/etm/crds"];

/// Writes them from the types in `crates/api`.
pub(crate) fn write(workspace: &Workspace) -> Result<()> {
    let print = ["run", "--quiet", "--package", "etm-api", "--example", "schemas", "--"];
    process::run(workspace.cargo().args(print).args(FOLDERS))
}
