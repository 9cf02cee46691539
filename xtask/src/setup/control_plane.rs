//! The programs of a Kubernetes control plane, for tests and benches: built once from Go modules,
//! or taken from where the user has them.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::go_tools::GoTools;
use super::outcome;
use crate::step::step;
use crate::workspace::Workspace;

/// A folder of programs that a user has already, named as other Kubernetes projects name it.
pub(crate) const ASSETS: &str = "KUBEBUILDER_ASSETS";

const TOOLS: GoTools = GoTools {
    name: "control-plane",
    shown: "Kubernetes",
    duration: "about 7 minutes",
    module: "k8s.io/kubernetes",
    programs: &[
        "etcd",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-proxy",
        "kube-scheduler",
        "kubectl",
    ],
    // The only module whose program lies in its root, under the last part of the module's path.
    renamed: &[("server", "etcd")],
    linker_flags,
};

/// The packages whose variables say which version this is.
const STAMPED: &[&str] = &["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"];

/// Makes sure of the programs and returns their folder; a link to it is put where tests look that
/// were not started from here.
pub(crate) fn control_plane(workspace: &Workspace) -> Result<PathBuf> {
    step("control plane", |progress| {
        let (folder, installed) = match env::var_os(ASSETS) {
            Some(assets) => (from_user(&env::current_dir()?.join(assets))?, false),
            None => TOOLS.built(workspace, progress)?,
        };
        TOOLS.link(workspace, &folder)?;
        let detail = folder.display().to_string();
        Ok((folder, outcome(installed), detail))
    })
}

fn from_user(folder: &Path) -> Result<PathBuf> {
    let missing = TOOLS.missing(folder);
    if !missing.is_empty() {
        bail!(
            "{} lacks {}; add them there, or unset {ASSETS} to have all built",
            folder.display(),
            missing.join(", ")
        );
    }
    Ok(folder.to_owned())
}

/// Without symbols, and with the version that the programs tell of themselves: from a module's
/// sources alone they would not know it.
fn linker_flags(version: &str) -> Result<String> {
    let mut parts = version.trim_start_matches('v').split('.');
    let (Some(major), Some(minor)) = (parts.next(), parts.next()) else {
        bail!("{version} is no version of Kubernetes");
    };
    let stamps = STAMPED.iter().flat_map(|package| {
        [("gitVersion", version), ("gitMajor", major), ("gitMinor", minor), ("gitCommit", "")]
            .map(|(name, value)| format!(" -X {package}.{name}={value}"))
    });
    Ok(format!("-s -w{}", stamps.collect::<String>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_tell_their_version() {
        let flags = linker_flags("v1.37.2").expect("flags");
        assert!(flags.contains(" -X k8s.io/component-base/version.gitMinor=37"), "{flags}");
        assert!(linker_flags("main").is_err());
    }
}
