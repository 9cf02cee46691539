//! The programs of a Kubernetes control plane, for tests and benches: built once from Go modules,
//! or taken from where the user has them.

use std::env;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use rustix::fs::{FlockOperation, flock};

use super::{go, outcome};
use crate::process::quiet;
use crate::step::{Progress, step};
use crate::workspace::Workspace;

/// A folder of programs that a user has already, named as other Kubernetes projects name it.
pub(crate) const ASSETS: &str = "KUBEBUILDER_ASSETS";

/// What `hack/control-plane/go.mod` lists as tools; etcd's program has its module's name.
const PROGRAMS: &[&str] = &[
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubectl",
];

/// The packages whose variables say which version this is.
const STAMPED: &[&str] = &["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"];

/// Makes sure of the programs and returns their folder; a link to it is put where tests look that
/// were not started from here.
pub(crate) fn control_plane(workspace: &Workspace) -> Result<PathBuf> {
    step("control plane", |progress| {
        let (folder, installed) = match env::var_os(ASSETS) {
            Some(assets) => (from_user(&env::current_dir()?.join(assets))?, false),
            None => built(workspace, progress)?,
        };
        link(&folder, &workspace.target.join("control-plane"))?;
        let detail = folder.display().to_string();
        Ok((folder, outcome(installed), detail))
    })
}

fn from_user(folder: &Path) -> Result<PathBuf> {
    let missing = missing(folder);
    if !missing.is_empty() {
        bail!(
            "{} lacks {}; add them there, or unset {ASSETS} to have all built",
            folder.display(),
            missing.join(", ")
        );
    }
    Ok(folder.to_owned())
}

/// The folder with what the modules of today give, and whether it had to be built.
fn built(workspace: &Workspace, progress: &Progress<'_>) -> Result<(PathBuf, bool)> {
    let recipe = Recipe::read(&workspace.root.join("hack/control-plane"))?;
    let place = workspace.tools.join("control-plane");
    let folder = place.join(recipe.name());
    if missing(&folder).is_empty() {
        return Ok((folder, false));
    }
    fs::create_dir_all(&place).with_context(|| format!("create {}", place.display()))?;
    // Two clones share the cache; whoever comes second waits and finds it done.
    let lock = File::create(place.join("lock")).context("lock the cache")?;
    flock(&lock, FlockOperation::LockExclusive).context("lock the cache")?;
    if missing(&folder).is_empty() {
        return Ok((folder, false));
    }
    // What a build that was cut short has compiled is used by the next one.
    let scratch = place.join("building");
    let go = go::provide(&scratch.join("go"), progress)?;
    progress.say(&format!("building Kubernetes {}, once, about 10 minutes", recipe.version));
    let programs = scratch.join("bin");
    let _ = fs::remove_dir_all(&programs);
    recipe.build(&go, &scratch, &programs)?;
    // The only module whose program lies in its root, under the last part of the module's path.
    fs::rename(programs.join("server"), programs.join("etcd")).context("name etcd")?;
    let missing = missing(&programs);
    if !missing.is_empty() {
        bail!("{} lacks {}", recipe.folder.display(), missing.join(", "));
    }
    fs::rename(&programs, &folder).with_context(|| format!("move to {}", folder.display()))?;
    // Sources and intermediate files, ten times the size of the programs.
    let _ = fs::remove_dir_all(&scratch);
    Ok((folder, true))
}

fn missing(folder: &Path) -> Vec<&'static str> {
    PROGRAMS.iter().copied().filter(|program| !folder.join(program).is_file()).collect()
}

fn link(folder: &Path, link: &Path) -> Result<()> {
    if fs::read_link(link).is_ok_and(|there| there == folder) {
        return Ok(());
    }
    // In one step: tests of another terminal may be looking.
    let draft = link.with_extension("new");
    let _ = fs::remove_file(&draft);
    symlink(folder, &draft)
        .and_then(|()| fs::rename(&draft, link))
        .with_context(|| format!("link {}", link.display()))
}

/// Debug info takes a seventh of the build, and would be left out of the programs anyway.
const WITHOUT_DEBUG_INFO: &str = "-gcflags=all=-dwarf=false";

/// What is to be built, and how.
struct Recipe {
    folder: PathBuf,
    /// Of Kubernetes, as `v1.37.2`.
    version: String,
    flags: String,
    /// Of all that decides what comes out.
    digest: u64,
}

impl Recipe {
    fn read(folder: &Path) -> Result<Self> {
        let read = |name| {
            let path = folder.join(name);
            fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
        };
        let (modules, sums) = (read("go.mod")?, read("go.sum")?);
        let version = version(&modules).context("go.mod does not require k8s.io/kubernetes")?;
        let flags = linker_flags(&version)?;
        let mut digest = DefaultHasher::new();
        (&modules, &sums, &flags, WITHOUT_DEBUG_INFO).hash(&mut digest);
        Ok(Self { folder: folder.to_owned(), version, flags, digest: digest.finish() })
    }

    fn name(&self) -> String {
        format!("{}-{:016x}", self.version, self.digest)
    }

    fn build(&self, go: &Path, scratch: &Path, programs: &Path) -> Result<()> {
        quiet(
            Command::new(go)
                .args(["build", "-trimpath", WITHOUT_DEBUG_INFO, "-ldflags", &self.flags, "-o"])
                // With the slash at its end it is a folder, which Go makes.
                .arg(programs.join(""))
                .arg("tool")
                .current_dir(&self.folder)
                .env("CGO_ENABLED", "0")
                .env("GOTOOLCHAIN", "auto")
                .env("GOWORK", "off")
                // Else only root could remove what was downloaded.
                .env("GOFLAGS", "-mod=readonly -modcacherw")
                .env("GOMODCACHE", scratch.join("modules"))
                .env("GOCACHE", scratch.join("cache")),
        )
    }
}

/// The version of Kubernetes that a `go.mod` requires.
fn version(modules: &str) -> Option<String> {
    let words = modules.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let required = words.filter(|words| words.first() == Some(&"k8s.io/kubernetes"));
    required.filter_map(|words| Some((*words.get(1)?).to_owned())).next()
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
    fn the_version_is_the_required_one() {
        let modules = "tool (\n\tk8s.io/kubernetes/cmd/kubectl\n)\n\
                       require (\n\tk8s.io/kubernetes v1.37.2 // indirect\n)\n";
        assert_eq!(version(modules).as_deref(), Some("v1.37.2"));
        assert_eq!(version("module x\n"), None);
    }

    #[test]
    fn programs_tell_their_version() {
        let flags = linker_flags("v1.37.2").expect("flags");
        assert!(flags.contains(" -X k8s.io/component-base/version.gitMinor=37"), "{flags}");
        assert!(linker_flags("main").is_err());
    }
}
