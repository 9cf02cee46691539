//! Builds the kernel programs with the BPF toolchain that set-up found.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::process::run;
use crate::setup::Toolchain;
use crate::workspace::Workspace;

/// The target of the kernel programs; `etm` runs on little-endian machines only.
pub(crate) const TARGET: &str = "bpfel-unknown-none";

/// Where `etm` looks for the kernel object when it is compiled: in the tree, wherever cargo's
/// target directory may be.
pub(crate) fn object(workspace: &Workspace) -> PathBuf {
    workspace.root.join("target/bpf/etm.o")
}

/// Builds the package `etm-bpf` and copies the result to [`object`].
pub(crate) fn build(workspace: &Workspace, toolchain: &Toolchain) -> Result<()> {
    let started = Instant::now();
    let manifest = workspace.bpf().join("Cargo.toml");
    if !manifest.exists() {
        bail!("no kernel programs at {}", manifest.display());
    }
    // A directory of its own: these flags and this compiler would otherwise throw out the host's
    // artifacts each time.
    let target = workspace.target.join("bpf-build");
    let mut cargo = toolchain.cargo(workspace);
    cargo
        .args(["build", "--quiet", "--release", "--target", TARGET])
        .current_dir(workspace.bpf())
        .env("CARGO_TARGET_DIR", &target);
    run(&mut cargo)?;

    let built = target.join(TARGET).join("release/etm-bpf");
    let bytes = fs::read(&built).with_context(|| format!("read {}", built.display()))?;
    let object = object(workspace);
    let changed = match fs::read(&object) {
        Ok(old) => old != bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => true,
        Err(error) => return Err(error).with_context(|| format!("read {}", object.display())),
    };
    // Rewritten only on change, so that what embeds it is not compiled again for nothing.
    if changed {
        if let Some(folder) = object.parent() {
            fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        }
        fs::write(&object, &bytes).with_context(|| format!("write {}", object.display()))?;
    }
    println!(
        "{:<15} {:<9} {:>4} ms  {} ({} KiB)",
        "kernel programs",
        if changed { "built" } else { "ok" },
        started.elapsed().as_millis(),
        object.strip_prefix(&workspace.root).unwrap_or(&object).display(),
        bytes.len() / 1024,
    );
    Ok(())
}
