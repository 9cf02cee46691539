//! Resident memory of a process, in MiB.

use std::fs;

use anyhow::Context as _;

/// The most that it ever had.
pub fn peak(process: u32) -> anyhow::Result<f64> {
    field(process, "VmHWM:")
}

/// What it has.
pub fn now(process: u32) -> anyhow::Result<f64> {
    field(process, "VmRSS:")
}

fn field(process: u32, name: &str) -> anyhow::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kibibytes: f64 = line.context("no such field")?.trim().trim_end_matches(" kB").parse()?;
    Ok(kibibytes / 1024.0)
}
