//! The pin directory: a lock, `links/`, and one folder of maps for each set.
//!
//! A set is `maps-N`. Maps of another size or layout make a new set beside the one in use; the old
//! one goes once the programs have moved over.

use std::{
    fs, io,
    os::{fd::OwnedFd, unix::fs::DirBuilderExt as _},
    path::{Path, PathBuf},
};

use etm_abi::{ABI_VERSION, BACKEND_NAME_LEN, LINE_SLOTS, SERVICE_NAME_LEN, cells, name_parts};
use etm_model::Limits;
use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};

use crate::{
    error::OpenError,
    kernel::is_bpffs,
    maps::{NAMES, entries, open_meta},
    sys,
};

/// A pin directory that no other process changes.
pub(crate) struct PinDirectory {
    path: PathBuf,
    /// It was not there before.
    made: bool,
    /// Held for the lock alone.
    _lock: OwnedFd,
}

/// Maps that say nothing about ids or sizes, and so go over into a set of other sizes: without
/// them, open sockets would show the Pod as their peer.
const SHARED: [&str; 6] =
    ["FLOWS", "FLOWS_MOVED", "MPTCP_FLOWS", "UDP_REVERSE", "COUNTERS", "EVENTS"];

impl PinDirectory {
    /// Makes the directory where there is none, and locks it.
    pub(crate) fn create(path: &Path) -> Result<Self, OpenError> {
        let parent = path.ancestors().skip(1).find(|parent| parent.exists());
        if !parent.is_some_and(is_bpffs) {
            return Err(OpenError::NotBpffs { path: path.to_owned() });
        }
        let made = !path.exists();
        for directory in [path, &path.join("links")] {
            // Nobody else's business, and whoever may open the directory may lock it.
            let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
            made.map_err(|error| match error.kind() {
                io::ErrorKind::PermissionDenied => OpenError::Permission,
                _ => OpenError::io("could not make", directory)(error),
            })?;
        }
        Ok(Self { made, ..Self::open(path)? })
    }

    /// Locks a directory that is there.
    pub(crate) fn open(path: &Path) -> Result<Self, OpenError> {
        let lock = open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|errno| match errno {
                rustix::io::Errno::NOENT => OpenError::Absent { path: path.to_owned() },
                rustix::io::Errno::ACCESS | rustix::io::Errno::PERM => OpenError::Permission,
                other => OpenError::io("could not open", path)(other.into()),
            })?;
        if !is_bpffs(path) {
            return Err(OpenError::NotBpffs { path: path.to_owned() });
        }
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|errno| match errno {
            rustix::io::Errno::WOULDBLOCK => OpenError::Locked { path: path.to_owned() },
            other => OpenError::io("could not lock", path)(other.into()),
        })?;
        Ok(Self { path: path.to_owned(), made: false, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the link of a hook is pinned.
    pub(crate) fn link(&self, hook: &str) -> PathBuf {
        self.path.join("links").join(hook)
    }

    /// The set to work with: the newest one if its layout and sizes fit, else a new one.
    pub(crate) fn choose_set(&self, limits: &Limits, clients: u32) -> Result<PathBuf, OpenError> {
        let sets = sets(&self.path)?;
        if let Some((_, newest)) = sets.last()
            && fits(newest, limits, clients)
        {
            return Ok(newest.clone());
        }
        let number = sets.last().map_or(1, |(number, _)| number + 1);
        let path = self.path.join(format!("maps-{number}"));
        fs::create_dir(&path).map_err(OpenError::io("could not make", &path))?;
        // The newest may be one that was never finished.
        if let Some((_, old)) = sets.iter().rev().find(|(_, set)| version(set) == Some(ABI_VERSION))
        {
            share(old, &path)?;
        }
        Ok(path)
    }

    /// Removes a set that was never finished, so that an agent which fails and is started again
    /// and again does not fill the memory; and the directory, where it was made for that set.
    pub(crate) fn abandon(&self, set: &Path) {
        if version(set).is_none() {
            let _ = fs::remove_dir_all(set);
        }
        if self.made {
            let _ = fs::remove_dir(self.path.join("links"));
            let _ = fs::remove_dir(&self.path);
        }
    }

    /// Removes every set but the given one.
    pub(crate) fn remove_other_sets(&self, keep: &Path) -> Result<(), OpenError> {
        for (_, path) in sets(&self.path)? {
            if path != keep {
                fs::remove_dir_all(&path).map_err(OpenError::io("could not remove", &path))?;
            }
        }
        Ok(())
    }
}

/// The set that the attached programs use: the newest one that they were noted in, since a younger
/// one is only being filled.
pub(crate) fn serving(path: &Path) -> Result<Option<PathBuf>, OpenError> {
    let attached = |set: &Path| {
        let meta = open_meta(set).ok().and_then(|meta| meta.get(0));
        meta.is_some_and(|meta| meta.build != 0)
    };
    let sets = sets(path)?;
    let found = sets.iter().rev().find(|(_, set)| attached(set)).or_else(|| sets.first());
    Ok(found.map(|(_, set)| set.clone()))
}

/// Every set of maps with its number, the newest last.
pub(crate) fn sets(path: &Path) -> Result<Vec<(u32, PathBuf)>, OpenError> {
    let entries = fs::read_dir(path).map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => OpenError::Permission,
        _ => OpenError::io("could not list", path)(error),
    })?;
    let mut sets = Vec::new();
    for entry in entries {
        let entry = entry.map_err(OpenError::io("could not list", path))?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("maps-")?.parse().ok());
        sets.extend(number.map(|number| (number, entry.path())));
    }
    sets.sort_unstable();
    Ok(sets)
}

/// Layout version of a set; none where it was never finished.
pub(crate) fn version(set: &Path) -> Option<u32> {
    let version = open_meta(set).ok()?.get(0)?.abi_version;
    (version != 0).then_some(version)
}

fn fits(set: &Path, limits: &Limits, clients: u32) -> bool {
    version(set) == Some(ABI_VERSION)
        && NAMES.iter().all(|name| set.join(name).exists())
        && [
            ("SERVICES4", cells(limits.frontends)),
            ("SERVICE_NAMES", name_parts(limits.names(), SERVICE_NAME_LEN)),
            ("BACKENDS", limits.backends),
            ("BACKEND_NAMES", name_parts(limits.backends, BACKEND_NAME_LEN)),
            ("SLOTS", limits.slots.div_ceil(LINE_SLOTS)),
            ("ROUTES", limits.routes),
            ("AFFINITY", clients),
        ]
        .into_iter()
        .all(|(name, size)| entries(set, name).is_ok_and(|entries| entries == size))
}

fn share(old: &Path, new: &Path) -> Result<(), OpenError> {
    for name in SHARED {
        let (from, to) = (old.join(name), new.join(name));
        if from.exists() {
            sys::object_get(&from)
                .and_then(|map| sys::object_pin(std::os::fd::AsFd::as_fd(&map), &to))
                .map_err(OpenError::io("could not share", from))?;
        }
    }
    Ok(())
}
