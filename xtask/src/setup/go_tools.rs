//! Programs that are built once from Go modules, each set from a `go.mod` of its own in `hack`.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use rustix::fs::{FlockOperation, flock};

use super::go;
use crate::process::quiet;
use crate::step::Progress;
use crate::workspace::Workspace;

/// Debug info takes a seventh of the build, and would be left out of the programs anyway.
const WITHOUT_DEBUG_INFO: &str = "-gcflags=all=-dwarf=false";

/// A set of programs.
pub(super) struct GoTools {
    /// Of its folder in `hack`, in the cache and in `target`.
    pub(super) name: &'static str,
    /// What a user knows it as.
    pub(super) shown: &'static str,
    /// How long the build takes on two processors.
    pub(super) duration: &'static str,
    /// The module whose version is that of the set.
    pub(super) module: &'static str,
    /// What `go.mod` lists as tools.
    pub(super) programs: &'static [&'static str],
    /// Programs that Go gives another name.
    pub(super) renamed: &'static [(&'static str, &'static str)],
    /// The linker's flags for a version.
    pub(super) linker_flags: fn(&str) -> Result<String>,
}

impl GoTools {
    /// The folder with what the modules of today give, and whether it had to be built.
    pub(super) fn built(
        &self,
        workspace: &Workspace,
        progress: &Progress<'_>,
    ) -> Result<(PathBuf, bool)> {
        let recipe = Recipe::read(&workspace.root.join("hack").join(self.name), self)?;
        let place = workspace.tools.join(self.name);
        let folder = place.join(recipe.name());
        if self.missing(&folder).is_empty() {
            return Ok((folder, false));
        }
        fs::create_dir_all(&place).with_context(|| format!("create {}", place.display()))?;
        // Two clones share the cache; whoever comes second waits and finds it done.
        let lock = File::create(place.join("lock")).context("lock the cache")?;
        flock(&lock, FlockOperation::LockExclusive).context("lock the cache")?;
        if self.missing(&folder).is_empty() {
            return Ok((folder, false));
        }
        // What a build that was cut short has compiled is used by the next one.
        let scratch = place.join("building");
        let go = go::provide(&scratch.join("go"), progress)?;
        let (shown, version) = (self.shown, &recipe.version);
        progress.say(&format!("building {shown} {version}, once, {}", self.duration));
        let programs = scratch.join("bin");
        let _ = fs::remove_dir_all(&programs);
        recipe.build(&go, &scratch, &programs)?;
        for (from, to) in self.renamed {
            fs::rename(programs.join(from), programs.join(to)).context(*to)?;
        }
        let missing = self.missing(&programs);
        if !missing.is_empty() {
            bail!("{} lacks {}", recipe.folder.display(), missing.join(", "));
        }
        fs::rename(&programs, &folder).with_context(|| format!("move to {}", folder.display()))?;
        // Sources and intermediate files, ten times the size of the programs.
        let _ = fs::remove_dir_all(&scratch);
        Ok((folder, true))
    }

    /// Programs that are not in a folder.
    pub(super) fn missing(&self, folder: &Path) -> Vec<&'static str> {
        self.programs.iter().copied().filter(|program| !folder.join(program).is_file()).collect()
    }

    /// Puts a link to the folder where tests look for the programs.
    pub(super) fn link(&self, workspace: &Workspace, folder: &Path) -> Result<()> {
        link(workspace, self.name, folder)
    }
}

/// Puts a link to a folder of programs where tests look for them.
pub(super) fn link(workspace: &Workspace, name: &str, folder: &Path) -> Result<()> {
    let link = workspace.target.join(name);
    if fs::read_link(&link).is_ok_and(|there| there == folder) {
        return Ok(());
    }
    // In one step: tests of another terminal may be looking.
    let draft = link.with_extension("new");
    let _ = fs::remove_file(&draft);
    symlink(folder, &draft)
        .and_then(|()| fs::rename(&draft, &link))
        .with_context(|| format!("link {}", link.display()))
}

/// What is to be built, and how.
struct Recipe {
    folder: PathBuf,
    /// Of the set, as `v1.37.2`.
    version: String,
    flags: String,
    /// Of all that decides what comes out.
    digest: u64,
}

impl Recipe {
    fn read(folder: &Path, tools: &GoTools) -> Result<Self> {
        let read = |name| {
            let path = folder.join(name);
            fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
        };
        let (modules, sums) = (read("go.mod")?, read("go.sum")?);
        let version = version(&modules, tools.module)
            .with_context(|| format!("go.mod does not require {}", tools.module))?;
        let flags = (tools.linker_flags)(&version)?;
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

/// The version of a module that a `go.mod` requires.
pub(super) fn version(modules: &str, module: &str) -> Option<String> {
    let words = modules.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let required = words.filter(|words| words.first() == Some(&module));
    required.filter_map(|words| Some((*words.get(1)?).to_owned())).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_required_one() {
        let modules = "tool (\n\tk8s.io/kubernetes/cmd/kubectl\n)\n\
                       require (\n\tk8s.io/kubernetes v1.37.2 // indirect\n)\n";
        assert_eq!(version(modules, "k8s.io/kubernetes").as_deref(), Some("v1.37.2"));
        assert_eq!(version("module x\n", "k8s.io/kubernetes"), None);
    }
}
