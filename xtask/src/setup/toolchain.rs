//! The compiler for the kernel programs, looked for in three places.
//!
//! A stable compiler whose distribution ships a precompiled `core` for BPF is preferred: it is
//! there in seconds. Else the usual way of BPF in Rust is taken, a nightly that builds `core`.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::packages;
use crate::bpf::TARGET;
use crate::process::{output, quiet, search_path, which};
use crate::step::{Outcome, Progress};
use crate::workspace::Workspace;

/// The nightly for machines without a packaged `core`: dated, so that its LLVM is one that the
/// pinned bpf-linker knows.
const NIGHTLY: &str = "nightly-2026-05-20";

/// Packages with a compiler and its precompiled `core` for BPF: Debian's backport, then the
/// plain names.
const PACKAGED: &[(&str, &str)] =
    &[("rustc-web", "libstd-rust-web-dev-bpf"), ("rustc", "libstd-rust-dev-bpf")];

/// The oldest compiler that the kernel programs build with, as `1.x`.
const OLDEST: u32 = 95;

/// A compiler that can build for BPF.
#[derive(Debug)]
pub(crate) struct Toolchain {
    kind: Kind,
    /// The major version of the LLVM whose bitcode it emits.
    pub(crate) llvm: u32,
}

#[derive(Debug)]
enum Kind {
    /// This `rustc` has a precompiled `core`.
    Precompiled(PathBuf),
    /// The nightly of rustup, which builds `core` from source.
    Nightly,
}

/// Finds the toolchain or installs it.
pub(super) fn provide(progress: &Progress<'_>) -> Result<(Toolchain, Outcome, String)> {
    if let Some(toolchain) = precompiled() {
        let detail = toolchain.shown();
        return Ok((toolchain, Outcome::Ok, detail));
    }
    if let Some(toolchain) = nightly() {
        let detail = toolchain.shown();
        return Ok((toolchain, Outcome::Ok, detail));
    }
    let packaged = PACKAGED.iter().find(|(rustc, core)| {
        packages::available(core) && packages::candidate(rustc).is_some_and(|v| new_enough(&v))
    });
    if let Some((rustc, core)) = packaged {
        progress.say(&format!("installing {rustc} {core}"));
        if packages::install(&[rustc, core]).is_ok()
            && let Some(toolchain) = precompiled()
        {
            let detail = toolchain.shown();
            return Ok((toolchain, Outcome::Installed, detail));
        }
    }
    let by_hand =
        format!("rustup toolchain install {NIGHTLY} --profile minimal --component rust-src");
    if which("rustup").is_none() {
        bail!("no compiler for BPF; install rustup (https://rustup.rs), then run: {by_hand}");
    }
    progress.say(&format!("installing {NIGHTLY} with rust-src"));
    quiet(Command::new("rustup").args(["toolchain", "install", NIGHTLY]).args([
        "--profile",
        "minimal",
        "--component",
        "rust-src",
    ]))
    .with_context(|| format!("no compiler for BPF; try: {by_hand}"))?;
    let toolchain = nightly().with_context(|| format!("{NIGHTLY} does not run"))?;
    let detail = toolchain.shown();
    Ok((toolchain, Outcome::Installed, detail))
}

impl Toolchain {
    /// A cargo that builds for BPF: the caller adds the verb and the directories.
    pub(crate) fn cargo(&self, workspace: &Workspace) -> Command {
        let mut command = match &self.kind {
            Kind::Precompiled(rustc) => {
                let mut command = workspace.cargo();
                // `core` for BPF needs features that only a nightly or this variable unlocks.
                command.env("RUSTC", rustc).env("RUSTC_BOOTSTRAP", "1");
                command
            }
            Kind::Nightly => {
                let mut command = Command::new("rustup");
                command.args(["run", NIGHTLY, "cargo"]).env_remove("RUSTC");
                command.env("CARGO_UNSTABLE_BUILD_STD", "core");
                command
            }
        };
        self.flags(workspace, &mut command);
        command
    }

    /// `cargo clippy` of the same compiler, if it came with one.
    pub(crate) fn clippy(&self, workspace: &Workspace) -> Option<Command> {
        let mut command = match &self.kind {
            Kind::Precompiled(rustc) => {
                let clippy = rustc.with_file_name("cargo-clippy");
                if !clippy.exists() {
                    return None;
                }
                let mut command = Command::new(clippy);
                command.arg("clippy").env("RUSTC", rustc).env("RUSTC_BOOTSTRAP", "1");
                command
            }
            Kind::Nightly => {
                let version = ["run", NIGHTLY, "cargo", "clippy", "--version"];
                output(Command::new("rustup").args(version)).ok()?;
                let mut command = Command::new("rustup");
                command.args(["run", NIGHTLY, "cargo", "clippy"]).env_remove("RUSTC");
                command.env("CARGO_UNSTABLE_BUILD_STD", "core");
                command
            }
        };
        self.flags(workspace, &mut command);
        Some(command)
    }

    /// The compiler's path, if it is one with a precompiled `core`.
    pub(super) fn rustc(&self) -> Option<&Path> {
        match &self.kind {
            Kind::Precompiled(rustc) => Some(rustc),
            Kind::Nightly => None,
        }
    }

    /// The compiler's name for people.
    pub(crate) fn shown(&self) -> String {
        match &self.kind {
            Kind::Precompiled(rustc) => {
                format!("{} with a precompiled core, LLVM {}", rustc.display(), self.llvm)
            }
            Kind::Nightly => format!("{NIGHTLY} with rust-src, LLVM {}", self.llvm),
        }
    }

    fn flags(&self, workspace: &Workspace, command: &mut Command) {
        // aya-ebpf picks the layout of `pt_regs` by the first; compare-and-swap came with the third
        // generation of the instruction set; BTF needs the debug info; functions marked cold would
        // go to a section of their own, calls to which aya's loader resolves wrongly.
        let architecture = format!("--cfg=bpf_target_arch=\"{}\"", env::consts::ARCH);
        let flags = [
            architecture.as_str(),
            "-Ctarget-cpu=v3",
            "-Cdebuginfo=2",
            "-Clink-arg=--btf",
            "-Clink-arg=--llvm-args=-profile-guided-section-prefix=false",
        ];
        command
            .env("PATH", search_path())
            .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
            .env("CARGO_TARGET_BPFEL_UNKNOWN_NONE_LINKER", workspace.tool("bpf-linker"))
            .env_remove("CARGO_BUILD_TARGET");
    }
}

/// A compiler with a precompiled `core`: the distribution's place first, then the PATH.
fn precompiled() -> Option<Toolchain> {
    let candidates = [Some(PathBuf::from("/usr/bin/rustc")), which("rustc")];
    candidates.into_iter().flatten().find_map(|rustc| {
        let libraries =
            output(Command::new(&rustc).args(["--print", "target-libdir", "--target", TARGET]))
                .ok()?;
        let has_core = Path::new(libraries.trim())
            .read_dir()
            .ok()?
            .filter_map(Result::ok)
            .any(|entry| entry.file_name().to_string_lossy().starts_with("libcore-"));
        let version = output(Command::new(&rustc).arg("-vV")).ok()?;
        let release = field(&version, "release")?;
        (has_core && new_enough(release))
            .then(|| Some(Toolchain { llvm: llvm(&version)?, kind: Kind::Precompiled(rustc) }))?
    })
}

/// The pinned nightly, if it is there with the source of `core`.
fn nightly() -> Option<Toolchain> {
    which("rustup")?;
    let installed = output(Command::new("rustup").args(["toolchain", "list"])).ok()?;
    if !installed.lines().any(|line| line.starts_with(NIGHTLY)) {
        return None;
    }
    let rustc = |argument: &[&str]| {
        output(Command::new("rustup").args(["run", NIGHTLY, "rustc"]).args(argument)).ok()
    };
    let sysroot = rustc(&["--print", "sysroot"])?;
    let source = Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/core/Cargo.toml");
    let version = rustc(&["-vV"])?;
    source.exists().then(|| Some(Toolchain { llvm: llvm(&version)?, kind: Kind::Nightly }))?
}

fn llvm(version: &str) -> Option<u32> {
    field(version, "LLVM version")?.split('.').next()?.parse().ok()
}

fn field<'a>(version: &'a str, name: &str) -> Option<&'a str> {
    version.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// Whether `1.x.y`, with whatever follows, is [`OLDEST`] or newer.
fn new_enough(version: &str) -> bool {
    let mut parts = version.split('.').map(str::parse::<u32>);
    matches!((parts.next(), parts.next()), (Some(Ok(1)), Some(Ok(minor))) if minor >= OLDEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_compilers_own_description() {
        let version = "rustc 1.96.0\nbinary: rustc\nrelease: 1.96.0\nLLVM version: 22.1.8\n";
        assert_eq!(llvm(version), Some(22));
        assert_eq!(field(version, "release"), Some("1.96.0"));
    }

    #[test]
    fn old_compilers_are_turned_down() {
        assert!(new_enough("1.96.0+dfsg1-1~deb12u2"));
        assert!(!new_enough("1.85.0+dfsg3-1~deb12u3"));
        assert!(!new_enough("nonsense"));
    }
}
