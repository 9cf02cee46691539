//! Helm, which tests render the chart with: built once from Go modules.

use anyhow::Result;

use super::go_tools::GoTools;
use super::outcome;
use crate::step::step;
use crate::workspace::Workspace;

const TOOLS: GoTools = GoTools {
    name: "helm",
    shown: "Helm",
    duration: "about 2 minutes",
    module: "helm.sh/helm/v4",
    programs: &["helm"],
    renamed: &[],
    linker_flags: |_| Ok("-s -w".to_owned()),
};

/// Makes sure of the program, and of the link by which tests find it.
pub(crate) fn helm(workspace: &Workspace) -> Result<()> {
    step("helm", |progress| {
        let (folder, installed) = TOOLS.built(workspace, progress)?;
        TOOLS.link(workspace, &folder)?;
        Ok(((), outcome(installed), folder.display().to_string()))
    })
}
