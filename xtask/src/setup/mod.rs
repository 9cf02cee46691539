//! Gets a Debian or Ubuntu machine ready, step by step; what is in place is left alone.

mod control_plane;
mod go;
mod linker;
mod lint_tools;
mod mounts;
mod packages;
mod toolchain;

use anyhow::{Result, bail};

use crate::step::{Outcome, step};
use crate::workspace::Workspace;

pub(crate) use control_plane::{ASSETS, control_plane};
pub(crate) use lint_tools::lint_tools;
pub(crate) use toolchain::Toolchain;

/// Programs that tests, demo and benches start, each with the package that brings it.
const PROGRAMS: &[(&str, &str)] = &[
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("iptables", "iptables"),
    ("conntrack", "conntrack"),
    ("nsenter", "util-linux"),
    ("setpriv", "util-linux"),
    ("python3", "python3"),
];

/// The whole set-up; returns the toolchain for the kernel programs.
pub(crate) fn run(workspace: &Workspace) -> Result<Toolchain> {
    if !rustix::process::geteuid().is_root() {
        bail!("loading kernel programs takes root; run the same command with sudo or as root");
    }
    step("packages", |progress| packages::provide_programs(PROGRAMS, progress))?;
    let toolchain = toolchain(workspace)?;
    step("bpffs", |_| mounts::bpffs())?;
    step("cgroup2", |_| mounts::cgroup2())?;
    Ok(toolchain)
}

/// Only what it takes to build the kernel programs; no root needed where it is in place.
pub(crate) fn toolchain(workspace: &Workspace) -> Result<Toolchain> {
    let toolchain = step("BPF toolchain", toolchain::provide)?;
    step("bpf-linker", |progress| {
        let outcome = linker::provide(workspace, &toolchain, progress)?;
        let detail = format!("{} for LLVM {}", linker::VERSION, toolchain.llvm);
        Ok(((), outcome, detail))
    })?;
    Ok(toolchain)
}

/// The outcome of a step that may have had something to do.
fn outcome(installed: bool) -> Outcome {
    if installed { Outcome::Installed } else { Outcome::Ok }
}
