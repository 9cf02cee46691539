//! Scratch cgroups.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::place::Place;
use crate::{Error, mounts, scratch, sweep};

/// A cgroup of the machine's cgroup v2, removed on drop with all that runs in it.
#[derive(Debug)]
pub struct Cgroup {
    path: PathBuf,
}

impl Cgroup {
    /// Makes an empty cgroup below the root of cgroup v2.
    ///
    /// # Errors
    ///
    /// [`Error::NotMounted`] without cgroup v2, [`Error::Io`] without the privilege.
    pub fn new() -> Result<Self, Error> {
        sweep::sweep();
        Self::make(mounts::cgroup2()?.join(scratch::name()))
    }

    /// Makes a cgroup inside of this one.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], for one when there is a child of that name already.
    pub fn child(&self, name: &str) -> Result<Self, Error> {
        Self::make(self.path.join(name))
    }

    /// Its absolute path, as `--cgroup` of the agent takes it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The host's network, inside of this cgroup.
    #[must_use]
    pub fn place(&self) -> Place {
        Place::host().within(self)
    }

    fn make(path: PathBuf) -> Result<Self, Error> {
        fs::create_dir(&path).map_err(Error::io(format!("create cgroup {}", path.display())))?;
        Ok(Self { path })
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

/// Ends what runs in a cgroup, then removes it and its children.
pub(crate) fn remove(path: &Path) {
    // A killed process keeps its cgroup busy until it has gone through exit.
    let deadline = Instant::now() + Duration::from_secs(5);
    while !remove_empty(path) && Instant::now() < deadline {
        kill(path);
        sleep(Duration::from_millis(2));
    }
}

/// Kills what runs in a cgroup and below it.
fn kill(path: &Path) {
    // Reaches the children as well, and processes that are just forking (kernel 5.14).
    if fs::write(path.join("cgroup.kill"), "1").is_ok() {
        return;
    }
    let processes = fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
    let pids = processes.lines().filter_map(|line| Pid::from_raw(line.parse().ok()?));
    for pid in pids {
        // It may have gone by itself.
        let _ = kill_process(pid, Signal::KILL);
    }
    folders(path).for_each(|child| kill(&child));
}

/// Removes the tree bottom up; cgroups cannot be removed with their files, only as folders.
fn remove_empty(path: &Path) -> bool {
    for child in folders(path) {
        remove_empty(&child);
    }
    fs::remove_dir(path).is_ok() || !path.exists()
}

fn folders(path: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = fs::read_dir(path).into_iter().flatten().filter_map(Result::ok);
    entries.filter(|e| e.file_type().is_ok_and(|kind| kind.is_dir())).map(|e| e.path())
}
