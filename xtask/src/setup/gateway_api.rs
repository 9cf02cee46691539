//! The Gateway API's definitions, which tests put into a real API server: out of the published Go
//! module, of which nothing is built.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::go_tools::{link, version};
use super::{go, outcome};
use crate::process::quiet;
use crate::step::step;
use crate::workspace::Workspace;

const NAME: &str = "gateway-api";
const MODULE: &str = "sigs.k8s.io/gateway-api";
/// The channel that has every kind, in each of its versions.
const CHANNEL: &str = "config/crd/experimental";
/// The kinds that are read.
const KINDS: [&str; 5] = ["tcproutes", "udproutes", "grpcroutes", "httproutes", "referencegrants"];

/// Makes sure of the definitions, and of the link by which tests find them.
pub(crate) fn gateway_api(workspace: &Workspace) -> Result<()> {
    step(NAME, |progress| {
        let recipe = workspace.root.join("hack").join(NAME);
        let modules = recipe.join("go.mod");
        let text =
            fs::read_to_string(&modules).with_context(|| format!("read {}", modules.display()))?;
        // It is the only one that is required.
        let version = version(&text.replace("require ", ""), MODULE)
            .with_context(|| format!("{} does not require {MODULE}", modules.display()))?;
        let place = workspace.tools.join(NAME);
        let folder = place.join(&version);
        let installed = !is_whole(&folder);
        if installed {
            let scratch = place.join("fetching");
            let go = go::provide(&scratch.join("go"), progress)?;
            progress.say(&format!("fetching {MODULE} {version}"));
            fetch(&go, &recipe, &version, &scratch, &folder)?;
            let _ = fs::remove_dir_all(&scratch);
        }
        link(workspace, NAME, &folder)?;
        Ok(((), outcome(installed), folder.display().to_string()))
    })
}

fn file(kind: &str) -> String {
    format!("gateway.networking.k8s.io_{kind}.yaml")
}

fn is_whole(folder: &Path) -> bool {
    KINDS.iter().all(|kind| folder.join(file(kind)).is_file())
}

fn fetch(go: &Path, recipe: &Path, version: &str, scratch: &Path, folder: &Path) -> Result<()> {
    let modules = scratch.join("modules");
    quiet(
        Command::new(go)
            .args(["mod", "download", &format!("{MODULE}@{version}")])
            // Its go.sum says what the module must be.
            .current_dir(recipe)
            .env("GOTOOLCHAIN", "auto")
            .env("GOWORK", "off")
            .env("GOFLAGS", "-mod=readonly -modcacherw")
            .env("GOMODCACHE", &modules),
    )?;
    let from = modules.join(format!("{MODULE}@{version}")).join(CHANNEL);
    fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    for kind in KINDS {
        let (from, to) = (from.join(file(kind)), folder.join(file(kind)));
        fs::copy(&from, &to).with_context(|| format!("copy {}", from.display()))?;
    }
    Ok(())
}
