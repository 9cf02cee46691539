//! What only `lint` needs: rustfmt, clippy and cargo-deny.

use std::process::Command;

use anyhow::{Context, Result};

use super::{outcome, packages, toolchain};
use crate::process::{output, quiet};
use crate::step::step;
use crate::workspace::Workspace;

/// The version of cargo-deny that `deny.toml` is written for.
const CARGO_DENY: &str = "0.20.2";

/// Makes sure of the tools, installing what is missing.
pub(crate) fn lint_tools(workspace: &Workspace) -> Result<()> {
    for tool in ["rustfmt", "clippy"] {
        step(tool, |progress| {
            let verb = if tool == "rustfmt" { "fmt" } else { tool };
            let runs = || output(workspace.cargo().args([verb, "--version"]));
            let there = runs().is_ok();
            if !there {
                progress.say("installing it");
                add(tool)?;
            }
            Ok(((), outcome(!there), runs()?.trim().to_owned()))
        })?;
    }
    step("clippy for BPF", |progress| {
        let (toolchain, _, _) = toolchain::provide(progress)?;
        // Clippy must be of the very compiler that built `core`; a distribution packages it
        // apart. Where it cannot be had, lint says that it goes without.
        let wanted = toolchain.clippy(workspace).is_none() && toolchain.rustc().is_some();
        let installed = wanted && packages::install(&["rust-web-clippy"]).is_ok();
        let there = toolchain.clippy(workspace).is_some();
        let detail = if there { toolchain.shown() } else { "none to be had".to_owned() };
        Ok(((), outcome(installed), detail))
    })?;
    step("cargo-deny", |progress| {
        let program = workspace.tool("cargo-deny");
        let version = output(Command::new(&program).arg("--version")).unwrap_or_default();
        let there = version.trim() == format!("cargo-deny {CARGO_DENY}");
        if !there {
            progress.say("building it, some minutes");
            let install = ["install", "cargo-deny", "--locked", "--force", "--version"];
            quiet(
                workspace
                    .cargo()
                    .args(install)
                    .args([CARGO_DENY, "--root"])
                    .arg(&workspace.tools)
                    .env("CARGO_TARGET_DIR", workspace.tools.join("build")),
            )?;
            let _ = std::fs::remove_dir_all(workspace.tools.join("build"));
        }
        Ok(((), outcome(!there), CARGO_DENY.to_owned()))
    })
}

/// From where the compiler in use came from: a package has its counterpart, rustup a component.
fn add(tool: &str) -> Result<()> {
    let rustc = crate::process::which("rustc").context("no rustc on the PATH")?;
    match packages::owner(&rustc.to_string_lossy()).as_deref() {
        Some("rustc-web") if tool == "rustfmt" => packages::install(&["rustfmt-web"]),
        Some("rustc-web") => packages::install(&["rust-web-clippy"]),
        Some("rustc") if tool == "rustfmt" => packages::install(&["rustfmt"]),
        Some("rustc") => packages::install(&["rust-clippy"]),
        _ => quiet(Command::new("rustup").args(["component", "add", tool]))
            .with_context(|| format!("try: rustup component add {tool}")),
    }
}
