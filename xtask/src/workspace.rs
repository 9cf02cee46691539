//! Where things are: the tree, cargo's target directory, the cache of tools.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

/// The places that the verbs work in.
pub(crate) struct Workspace {
    /// The root of the tree.
    pub(crate) root: PathBuf,
    /// Cargo's target directory, wherever the caller wants it.
    pub(crate) target: PathBuf,
    /// Tools that take long to build, kept beside the tree so that every clone shares them.
    pub(crate) tools: PathBuf,
}

impl Workspace {
    /// Finds the tree that this xtask belongs to.
    pub(crate) fn find() -> Result<Self> {
        // What cargo says now, not what it said at compile time: clones that share a target
        // directory share this program as well, and each must work on its own tree.
        let manifest = env::var_os("CARGO_MANIFEST_DIR");
        let xtask = manifest.context("run this as `cargo xtask`, inside of the tree")?;
        let root = Path::new(&xtask).parent().context("xtask has no parent directory")?.to_owned();
        let target = match env::var_os("CARGO_TARGET_DIR") {
            Some(directory) => env::current_dir()?.join(directory),
            None => root.join("target"),
        };
        Ok(Self { root, target, tools: cache()?.join("tools") })
    }

    /// A tool that set-up installed.
    pub(crate) fn tool(&self, name: &str) -> PathBuf {
        self.tools.join("bin").join(name)
    }

    /// The cargo that runs this xtask, started in the root of the tree.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.current_dir(&self.root);
        command
    }

    /// The folder of the kernel programs, a cargo workspace of its own.
    pub(crate) fn bpf(&self) -> PathBuf {
        self.root.join("bpf")
    }
}

fn cache() -> Result<PathBuf> {
    if let Some(cache) = env::var_os("ETM_CACHE") {
        return Ok(env::current_dir()?.join(cache));
    }
    if let Some(cache) = env::var_os("XDG_CACHE_HOME") {
        return Ok(Path::new(&cache).join("etm"));
    }
    let home = env::var_os("HOME").context("neither ETM_CACHE nor HOME is set")?;
    Ok(Path::new(&home).join(".cache/etm"))
}
