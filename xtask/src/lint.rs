//! `lint`: formatting, clippy with warnings denied, licences and duplicates.

use std::process::Command;

use anyhow::Result;

use crate::bpf::{self, TARGET};
use crate::process;
use crate::setup::{self, Toolchain};
use crate::workspace::Workspace;

/// Runs every check, the quick ones first, and stops at the first that fails.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    setup::lint_tools(workspace)?;
    let toolchain = setup::toolchain(workspace)?;
    let has_bpf = workspace.bpf().join("Cargo.toml").exists();

    process::run(workspace.cargo().args(["fmt", "--all", "--check"]))?;
    if has_bpf {
        process::run(workspace.cargo().args(["fmt", "--check"]).current_dir(workspace.bpf()))?;
        // `etm` embeds the object, so clippy needs it as well.
        bpf::build(workspace, &toolchain)?;
        clippy_bpf(workspace, &toolchain)?;
    }
    process::run(workspace.cargo().args([
        "clippy",
        "--quiet",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))?;
    deny(workspace)
}

fn clippy_bpf(workspace: &Workspace, toolchain: &Toolchain) -> Result<()> {
    let Some(mut clippy) = toolchain.clippy(workspace) else {
        println!("clippy of bpf/: skipped, {} has no clippy", toolchain.shown());
        return Ok(());
    };
    clippy
        .args(["--quiet", "--release", "--target", TARGET, "--", "-D", "warnings"])
        .current_dir(workspace.bpf())
        .env("CARGO_TARGET_DIR", workspace.target.join("bpf-clippy"));
    process::run(&mut clippy)
}

/// No advisories: their database comes from the network, and a check that may or may not run
/// says nothing about the change.
fn deny(workspace: &Workspace) -> Result<()> {
    let cargo_deny = workspace.tool("cargo-deny");
    let mut folders = vec![workspace.root.clone()];
    if workspace.bpf().join("Cargo.toml").exists() {
        folders.push(workspace.bpf());
    }
    for folder in folders {
        let mut command = Command::new(&cargo_deny);
        command
            .args(["--log-level", "warn", "--config"])
            .arg(workspace.root.join("deny.toml"))
            .args(["check", "licenses", "bans", "sources"])
            .current_dir(&folder);
        if folder == workspace.bpf() {
            // What the host's crates have to be excused for, these few do not have.
            command.args(["--allow", "unmatched-skip"]);
            command.args(["--allow", "license-exception-not-encountered"]);
        }
        process::run(&mut command)?;
    }
    Ok(())
}
