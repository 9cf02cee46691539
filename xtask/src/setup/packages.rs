//! Packages of Debian and Ubuntu, through apt.

use std::process::Command;
use std::sync::Once;

use anyhow::{Context, Result, bail};

use super::outcome;
use crate::process::{output, quiet, which};
use crate::step::{Outcome, Progress};

/// Installs the packages of those programs that are missing.
pub(super) fn provide_programs(
    programs: &[(&str, &str)],
    progress: &Progress<'_>,
) -> Result<((), Outcome, String)> {
    let missing: Vec<&str> = programs
        .iter()
        .filter(|(program, _)| which(program).is_none())
        .map(|&(_, package)| package)
        .collect();
    if !missing.is_empty() {
        progress.say(&format!("installing {}", missing.join(" ")));
        install(&missing)?;
    }
    let names: Vec<&str> = programs.iter().map(|&(program, _)| program).collect();
    Ok(((), outcome(!missing.is_empty()), names.join(" ")))
}

/// Installs packages, but never at the price of removing one: a BPF toolchain is not worth
/// somebody's compiler.
pub(super) fn install(packages: &[&str]) -> Result<()> {
    let by_hand = format!("apt-get install {}", packages.join(" "));
    if which("apt-get").is_none() {
        bail!("there is no apt-get here; install by hand what Debian calls {}", packages.join(" "));
    }
    if !rustix::process::geteuid().is_root() {
        bail!("missing packages; run as root: {by_hand}");
    }
    update();
    quiet(
        Command::new("apt-get")
            .args(["install", "--yes", "--quiet", "--no-install-recommends", "--no-remove"])
            .args(packages)
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )
    .with_context(|| format!("to see why, run: {by_hand}"))
}

/// Whether apt knows a version of the package, after one refresh of its lists.
pub(super) fn available(package: &str) -> bool {
    candidate(package).is_some()
}

/// The version of a package that apt would install.
pub(super) fn candidate(package: &str) -> Option<String> {
    which("apt-cache")?;
    update();
    let policy = output(Command::new("apt-cache").args(["policy", package])).ok()?;
    let line = policy.lines().find_map(|line| line.trim().strip_prefix("Candidate: "))?;
    (line != "(none)").then(|| line.to_owned())
}

/// Which package a file belongs to, if dpkg knows.
pub(super) fn owner(path: &str) -> Option<String> {
    let line = output(Command::new("dpkg-query").args(["--search", path])).ok()?;
    Some(line.split(':').next()?.trim().to_owned())
}

/// Once a run, and only when something is missing: the lists of a fresh machine are empty. A
/// failure shows when the install that follows finds nothing.
fn update() {
    static UPDATED: Once = Once::new();
    UPDATED.call_once(|| {
        if rustix::process::geteuid().is_root() {
            let _ = quiet(Command::new("apt-get").args(["update", "--quiet"]));
        }
    });
}
