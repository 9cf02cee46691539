//! Gets a Debian or Ubuntu machine ready, step by step; what is in place is left alone.

mod control_plane;
mod gateway_api;
mod go;
mod go_tools;
mod helm;
mod linker;
mod lint_tools;
mod monitoring;
mod mounts;
mod packages;
mod toolchain;

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::step::{Outcome, step};
use crate::workspace::Workspace;

pub(crate) use control_plane::{ASSETS, control_plane};
pub(crate) use gateway_api::gateway_api;
pub(crate) use helm::helm;
pub(crate) use lint_tools::lint_tools;
pub(crate) use monitoring::monitoring;
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

/// Programs that only tests start.
const TEST_PROGRAMS: &[(&str, &str)] = &[("buildah", "buildah"), ("capsh", "libcap2-bin")];

/// What builds images.
const IMAGE_PROGRAMS: &[(&str, &str)] = &[("buildah", "buildah")];

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

/// What tests need beyond the set-up; returns the folder of the control plane's programs.
pub(crate) fn for_tests(workspace: &Workspace) -> Result<PathBuf> {
    step("test packages", |progress| packages::provide_programs(TEST_PROGRAMS, progress))?;
    helm(workspace)?;
    gateway_api(workspace)?;
    monitoring(workspace)?;
    control_plane(workspace)
}

/// What it takes to build an image.
pub(crate) fn for_images() -> Result<()> {
    step("image packages", |progress| packages::provide_programs(IMAGE_PROGRAMS, progress))
}

/// The outcome of a step that may have had something to do.
fn outcome(installed: bool) -> Outcome {
    if installed { Outcome::Installed } else { Outcome::Ok }
}
