//! The two file systems of the kernel that the data path lives in.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use rustix::mount::{MountFlags, mount};

use super::outcome;
use crate::step::Outcome;

const BPFFS: &str = "/sys/fs/bpf";

/// Used only where cgroup v2 is mounted nowhere.
const CGROUP2: &str = "/run/etm/cgroup2";

/// Pinned programs and maps live in bpffs; its usual place is `/sys/fs/bpf`.
pub(super) fn bpffs() -> Result<((), Outcome, String)> {
    let mounted = mounted("bpf")?.iter().any(|place| place == BPFFS);
    if !mounted {
        make("bpf", BPFFS)?;
    }
    Ok(((), outcome(!mounted), BPFFS.to_owned()))
}

/// The hooks attach to cgroup v2, which distributions mount in different places.
pub(super) fn cgroup2() -> Result<((), Outcome, String)> {
    if let Some(place) = mounted("cgroup2")?.into_iter().next() {
        return Ok(((), Outcome::Ok, place));
    }
    fs::create_dir_all(CGROUP2).with_context(|| format!("create {CGROUP2}"))?;
    make("cgroup2", CGROUP2)?;
    Ok(((), Outcome::Installed, CGROUP2.to_owned()))
}

fn make(kind: &str, place: &str) -> Result<()> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount(kind, Path::new(place), kind, flags, None)
        .with_context(|| format!("cannot do it here; try: mount -t {kind} {kind} {place}"))
}

/// Where file systems of a kind are mounted.
fn mounted(kind: &str) -> Result<Vec<String>> {
    let table = fs::read_to_string("/proc/mounts").context("read /proc/mounts")?;
    Ok(places(&table, kind))
}

fn places(table: &str, kind: &str) -> Vec<String> {
    let fields = table.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    fields.filter(|f| f.get(2) == Some(&kind)).map(|f| f[1].to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_cgroup2_on_a_hybrid_machine() {
        let table = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\n\
                     cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n\
                     cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0\n";
        assert_eq!(places(table, "cgroup2"), ["/sys/fs/cgroup/unified"]);
        assert!(places(table, "bpf").is_empty());
    }
}
