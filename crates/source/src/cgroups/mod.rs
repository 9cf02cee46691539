//! The cgroups of this node's Pods, as the kubelet makes and removes them.
//!
//! A Pod's cgroup is made before its first container, so whoever follows them knows a Pod before it
//! can call anyone. The id of a cgroup is the inode number of its directory, and what the kernel's
//! programs are told of a caller.

mod name;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use futures_util::{FutureExt as _, StreamExt as _};
use inotify::{EventMask, EventOwned, EventStream, Inotify, WatchDescriptor, WatchMask};

use self::name::{may_hold_pods, pod_uid};

/// What became of a Pod's cgroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CgroupChange {
    /// There is one of this id, of the Pod with this UID.
    Made(u64, Arc<str>),
    /// The one of this id is gone.
    Gone(u64),
}

/// The part of the cgroup hierarchy in which Pods are followed.
pub struct Cgroups {
    root: PathBuf,
    events: EventStream<Vec<u8>>,
    /// Directories in which Pods' cgroups may come up.
    watched: HashMap<WatchDescriptor, PathBuf>,
    /// Ids of the Pods' cgroups.
    known: BTreeMap<PathBuf, u64>,
    changes: Vec<CgroupChange>,
}

impl Cgroups {
    /// Begins to follow a directory of cgroup v2, and reads what is there. Must be called in a
    /// tokio runtime.
    ///
    /// # Errors
    ///
    /// Where the kernel gives no inotify instance, or no watch of the directory itself.
    pub fn open(root: &Path) -> io::Result<Self> {
        let events = Inotify::init()?.into_event_stream(vec![0; 16 * 1024])?;
        let mut cgroups = Self {
            root: root.to_owned(),
            events,
            watched: HashMap::new(),
            known: BTreeMap::new(),
            changes: Vec::new(),
        };
        cgroups.watch(root)?;
        cgroups.look_into(root);
        Ok(cgroups)
    }

    /// What has come up by now and was not told yet.
    pub fn found(&mut self) -> Vec<CgroupChange> {
        std::mem::take(&mut self.changes)
    }

    /// Waits for changes. Cancel safe.
    ///
    /// # Errors
    ///
    /// Where inotify cannot be read any longer.
    pub async fn next(&mut self) -> io::Result<Vec<CgroupChange>> {
        while self.changes.is_empty() {
            if let Some(event) = self.events.next().await {
                self.take(event?);
            }
            while let Some(Some(event)) = self.events.next().now_or_never() {
                self.take(event?);
            }
        }
        Ok(self.found())
    }

    fn take(&mut self, event: EventOwned) {
        if event.mask.contains(EventMask::Q_OVERFLOW) {
            self.look_again();
            return;
        }
        if event.mask.contains(EventMask::IGNORED) {
            self.watched.remove(&event.wd);
            return;
        }
        let Some(above) = self.watched.get(&event.wd) else { return };
        let Some(name) = event.name.filter(|_| event.mask.contains(EventMask::ISDIR)) else {
            return;
        };
        let path = above.join(name);
        if event.mask.contains(EventMask::DELETE) {
            self.forget(&path);
        } else {
            self.meet(&path);
        }
    }

    /// Takes in a cgroup that has come up, with what may be in it by now.
    fn meet(&mut self, path: &Path) {
        if let Some(uid) = pod_uid(path) {
            // One that is gone again by now has nothing to tell.
            if let Ok(found) = fs::metadata(path) {
                let id = found.ino();
                if self.known.insert(path.to_owned(), id) != Some(id) {
                    self.changes.push(CgroupChange::Made(id, uid.into()));
                }
            }
        } else if may_hold_pods(path) && self.watch(path).is_ok() {
            // After the watch, so that nothing comes up unseen in between.
            self.look_into(path);
        }
    }

    fn look_into(&mut self, path: &Path) {
        let entries = fs::read_dir(path).into_iter().flatten().filter_map(Result::ok);
        for entry in entries {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                self.meet(&entry.path());
            }
        }
    }

    fn forget(&mut self, path: &Path) {
        if let Some(id) = self.known.remove(path) {
            self.changes.push(CgroupChange::Gone(id));
        }
    }

    /// Compares what is known with what is there, after events were lost.
    fn look_again(&mut self) {
        let gone: Vec<_> = self
            .known
            .iter()
            .filter(|(path, id)| fs::metadata(path).map_or(true, |found| found.ino() != **id))
            .map(|(path, _)| path.clone())
            .collect();
        for path in gone {
            self.forget(&path);
        }
        let root = self.root.clone();
        self.look_into(&root);
    }

    fn watch(&mut self, path: &Path) -> io::Result<()> {
        let mask = WatchMask::CREATE | WatchMask::DELETE | WatchMask::ONLYDIR;
        let descriptor = self.events.watches().add(path, mask)?;
        self.watched.insert(descriptor, path.to_owned());
        Ok(())
    }
}
