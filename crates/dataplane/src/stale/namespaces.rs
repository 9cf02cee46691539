//! The network namespaces of this machine, as far as this process sees them.

use std::{
    collections::HashSet,
    fs::{self, File},
    io,
    os::{fd::AsFd as _, unix::fs::MetadataExt as _},
    path::PathBuf,
};

use rustix::{
    fs::fstatfs,
    thread::{LinkNameSpaceType, move_into_link_name_space},
};

/// The calling thread's own.
const OWN: &str = "/proc/thread-self/ns/net";
/// Where container runtimes and `ip netns` keep those of Pods: a process of one need not be seen.
const NAMED: [&str; 2] = ["/run/netns", "/run/docker/netns"];
/// `NSFS_MAGIC` of linux/magic.h.
const NSFS_MAGIC: i64 = 0x6e73_6673;

/// The one that the calling thread is in.
pub(super) fn own() -> io::Result<File> {
    File::open(OWN)
}

/// Every network namespace but that one, each once. What goes meanwhile is left out.
pub(super) fn others() -> io::Result<Vec<File>> {
    let number = |is: &fs::Metadata| (is.dev(), is.ino());
    let mut known = HashSet::from([number(&fs::metadata(OWN)?)]);
    let mut found = Vec::new();
    for path in named().chain(of_processes()) {
        let Ok(is) = fs::metadata(&path) else { continue };
        if known.insert(number(&is))
            && let Ok(file) = File::open(&path)
            && fstatfs(&file).is_ok_and(|found| found.f_type == NSFS_MAGIC)
        {
            found.push(file);
        }
    }
    Ok(found)
}

fn named() -> impl Iterator<Item = PathBuf> {
    let folders = NAMED.into_iter().flat_map(fs::read_dir);
    folders.flatten().flatten().map(|entry| entry.path())
}

fn of_processes() -> impl Iterator<Item = PathBuf> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let processes =
        processes.filter(|entry| entry.file_name().as_encoded_bytes()[0].is_ascii_digit());
    processes.map(|entry| entry.path().join("ns/net"))
}

/// Takes the calling thread into a network namespace.
pub(super) fn enter(namespace: &File) -> io::Result<()> {
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
        .map_err(io::Error::from)
}

/// Whether the calling thread may enter other network namespaces: takes it into its own.
pub(super) fn may_enter() -> io::Result<()> {
    enter(&own()?)
}
