//! Where the kernel's file systems are mounted.

use std::fs;
use std::path::PathBuf;

use crate::Error;

/// The root of cgroup v2, which a hybrid machine has at `/sys/fs/cgroup/unified`.
pub(crate) fn cgroup2() -> Result<PathBuf, Error> {
    find("cgroup2")
}

/// The root of bpffs.
pub(crate) fn bpffs() -> Result<PathBuf, Error> {
    find("bpf")
}

fn find(kind: &'static str) -> Result<PathBuf, Error> {
    let table = fs::read_to_string("/proc/mounts").map_err(Error::io("read /proc/mounts"))?;
    let fields = table.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let mut places = fields.filter(|f| f.get(2) == Some(&kind)).filter_map(|f| Some(*f.get(1)?));
    places.next().map(PathBuf::from).ok_or(Error::NotMounted { kind })
}
