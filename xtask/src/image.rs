//! `etm` as one file that needs no other, and an image that holds nothing else.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail};

use crate::bpf;
use crate::process::{quiet, run};
use crate::setup;
use crate::workspace::Workspace;

/// The version of every package of the workspace.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Builds `target/image/etm`, linked statically. The libraries are those of any other build of this
/// profile: what is linked how is decided when the program itself is.
pub(crate) fn static_binary(workspace: &Workspace, profile: &str) -> Result<PathBuf> {
    run(workspace
        .cargo()
        .args(["rustc", "--quiet", "--package", "etm", "--bin", "etm", "--profile", profile])
        .args(["--", "-C", "target-feature=+crt-static", "-C", "strip=debuginfo"]))?;
    let built = workspace.target.join(if profile == "dev" { "debug" } else { profile }).join("etm");
    let program = fs::read(&built).with_context(|| format!("read {}", built.display()))?;
    if !is_static(&program) {
        bail!("{} is not static: another build took its place; try again", built.display());
    }
    let folder = workspace.target.join("image");
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    // Moved into place: a test may be reading the old one.
    let (draft, path) = (folder.join("etm.new"), folder.join("etm"));
    fs::copy(&built, &draft)
        .and_then(|_| fs::rename(&draft, &path))
        .with_context(|| format!("write {}", path.display()))?;
    Ok(path)
}

/// `image [PROFILE]`: an archive that container runtimes load, `target/image/etm.tar`.
pub(crate) fn image(workspace: &Workspace, arguments: &[String]) -> Result<ExitCode> {
    let profile = match arguments {
        [] => "release",
        [profile] => profile,
        _ => bail!("image takes a profile of cargo or nothing"),
    };
    let toolchain = setup::toolchain(workspace)?;
    setup::for_images()?;
    bpf::build(workspace, &toolchain)?;
    let program = static_binary(workspace, profile)?;
    let folder = workspace.target.join("image");
    let store = folder.join("store");
    let buildah = || {
        let mut buildah = Command::new("buildah");
        // A store of its own, by the one driver that needs nothing of the kernel.
        buildah.args(["--storage-driver", "vfs", "--root"]).arg(store.join("images"));
        buildah.arg("--runroot").arg(store.join("run"));
        buildah
    };
    let context = folder.join("context");
    fs::create_dir_all(&context).with_context(|| format!("create {}", context.display()))?;
    fs::copy(program, context.join("etm")).context("copy etm")?;
    let name = format!("localhost/etm:{VERSION}");
    quiet(
        buildah()
            .args(["build", "--isolation", "chroot", "--tag", &name, "--file"])
            .arg(workspace.root.join("deploy/Containerfile"))
            .arg(&context),
    )?;
    let archive = folder.join("etm.tar");
    // It is never written over.
    let _ = fs::remove_file(&archive);
    let target = format!("docker-archive:{}:{name}", archive.display());
    quiet(buildah().args(["push", "--quiet", &name, &target]))?;
    for scratch in [store, context] {
        fs::remove_dir_all(&scratch).with_context(|| format!("remove {}", scratch.display()))?;
    }
    println!("{name} in {}", archive.display());
    Ok(ExitCode::SUCCESS)
}

/// Whether an ELF program (elf(5), 64 bits, little-endian) asks for no dynamic linker.
fn is_static(program: &[u8]) -> bool {
    const INTERPRETER: u32 = 3;
    let half = |at: usize| Some(u16::from_le_bytes(program.get(at..at + 2)?.try_into().ok()?));
    let word = |at: usize| Some(u32::from_le_bytes(program.get(at..at + 4)?.try_into().ok()?));
    let headers = || {
        let (start, size, count) = (word(0x20)?, half(0x36)?, half(0x38)?);
        let at = |index: u16| start as usize + usize::from(index) * usize::from(size);
        (0..count).map(|index| word(at(index))).collect::<Option<Vec<_>>>()
    };
    program.starts_with(b"\x7fELF\x02\x01")
        && headers().is_some_and(|kinds| !kinds.is_empty() && !kinds.contains(&INTERPRETER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_with_an_interpreter_is_not_static() {
        let this = fs::read(std::env::current_exe().expect("a path")).expect("a program");
        assert!(!is_static(&this));
        assert!(!is_static(b"#!/bin/sh\n"));
    }
}
