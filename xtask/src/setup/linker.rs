//! bpf-linker, built for the LLVM of the compiler whose bitcode it is to link.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{Toolchain, packages};
use crate::process::{output, path_with, quiet, which};
use crate::step::{Outcome, Progress};
use crate::workspace::Workspace;

/// The version that goes with the pinned aya crates.
pub(crate) const VERSION: &str = "0.13.0";

/// LLVM versions that this bpf-linker can be built for.
const SUPPORTED: std::ops::RangeInclusive<u32> = 21..=23;

/// Makes sure of the right bpf-linker in the cache.
pub(super) fn provide(
    workspace: &Workspace,
    toolchain: &Toolchain,
    progress: &Progress<'_>,
) -> Result<Outcome> {
    let linker = workspace.tool("bpf-linker");
    if in_place(&linker, workspace, toolchain.llvm) {
        return Ok(Outcome::Ok);
    }
    let llvm = toolchain.llvm;
    if !SUPPORTED.contains(&llvm) {
        bail!(
            "bpf-linker {VERSION} links LLVM {} to {}, but {} emits LLVM {llvm}",
            SUPPORTED.start(),
            SUPPORTED.end(),
            toolchain.shown()
        );
    }
    let config = llvm_config(llvm, progress)?;
    progress.say("building it, about a minute");
    let feature = format!("llvm-{llvm}");
    quiet(
        workspace
            .cargo()
            .args(["install", "bpf-linker", "--version", VERSION, "--locked", "--force"])
            .args(["--no-default-features", "--features", &feature, "--root"])
            .arg(&workspace.tools)
            // The build takes the first llvm-config on the PATH, which may be another LLVM's.
            .env("PATH", path_with(&config))
            .env("CARGO_TARGET_DIR", workspace.tools.join("build"))
            .env_remove("RUSTFLAGS"),
    )?;
    // Intermediate files, ten times the size of the program.
    let _ = fs::remove_dir_all(workspace.tools.join("build"));
    if !in_place(&linker, workspace, llvm) {
        bail!("{} does not run after its installation", linker.display());
    }
    Ok(Outcome::Installed)
}

/// The version is asked of the program, which also proves that its LLVM library is there; what
/// LLVM it was built for stands in cargo's own record beside it.
fn in_place(linker: &Path, workspace: &Workspace, llvm: u32) -> bool {
    let version = output(Command::new(linker).arg("--version"));
    if !version.is_ok_and(|version| version.trim() == format!("bpf-linker {VERSION}")) {
        return false;
    }
    let record = fs::read_to_string(workspace.tools.join(".crates2.json")).unwrap_or_default();
    built_for(&record, llvm)
}

fn built_for(record: &str, llvm: u32) -> bool {
    let entry = record.split_once("\"bins\":[\"bpf-linker\"]").map(|(_, rest)| rest);
    entry.is_some_and(|rest| rest.starts_with(&format!(",\"features\":[\"llvm-{llvm}\"]")))
}

/// The folder with this LLVM's `llvm-config`, its development package installed when missing.
fn llvm_config(llvm: u32, progress: &Progress<'_>) -> Result<PathBuf> {
    let folder = PathBuf::from(format!("/usr/lib/llvm-{llvm}/bin"));
    if folder.join("llvm-config").exists() && shared_library(llvm) {
        return Ok(folder);
    }
    let package = format!("llvm-{llvm}-dev");
    if !packages::available(&package) {
        bail!(
            "needs {package}, which this machine's package sources lack; \
             add LLVM's own source, then run this again: {}",
            format_args!("wget -qO- https://apt.llvm.org/llvm.sh | bash -s -- {llvm}")
        );
    }
    progress.say(&format!("installing {package}"));
    // The link step needs a linker and a libstdc++ to go with LLVM, both from gcc's C++ side.
    let mut wanted = vec![package.as_str()];
    if which("c++").is_none() {
        wanted.push("g++");
    }
    packages::install(&wanted).context("LLVM's development files")?;
    Ok(folder)
}

fn shared_library(llvm: u32) -> bool {
    Path::new(&format!("/usr/lib/llvm-{llvm}/lib/libLLVM.so")).exists()
        || Path::new(&format!("/usr/lib/llvm-{llvm}/lib/libLLVM-{llvm}.so")).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_tells_which_llvm_it_was_built_for() {
        let record = r#"{"installs":{"bpf-linker 0.13.0 (x)":{"version_req":"=0.13.0",
            "bins":["bpf-linker"],"features":["llvm-22"],"all_features":false}}}"#;
        assert!(built_for(record, 22));
        assert!(!built_for(record, 21));
        assert!(!built_for("", 22));
    }
}
