//! A directory of manifests, read and followed.

mod content;
mod pending;
mod watch;

use std::{
    io,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use etm_model::{Change, PodChange, Problem, Snapshot};
use thiserror::Error;
use tokio::time::sleep;

use crate::{
    Options, Supposed, Update,
    index::{Index, Reading},
};
use content::{Content, Digests};
use pending::Pending;
use watch::Watch;

/// How long a file that is gone may take to come back before its objects are dropped: a rename is
/// two events, and editors move a file away before they write it anew.
const GRACE: Duration = Duration::from_millis(5);
/// How often a directory that is gone is looked for.
const RETRY: Duration = Duration::from_millis(200);

/// Why a directory cannot be read at all.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The kernel gives no inotify instance.
    #[error("cannot use inotify (raise sysctl fs.inotify.max_user_instances?)")]
    Inotify(#[source] io::Error),
    /// The directory cannot be followed.
    #[error("cannot follow the manifests in {path} (is it a directory that this user may read?)")]
    Follow {
        /// The directory.
        path: PathBuf,
        /// The kernel's reason.
        #[source]
        source: io::Error,
    },
    /// The directory cannot be listed.
    #[error("cannot list the manifests in {path} (is it a directory that this user may read?)")]
    List {
        /// The directory.
        path: PathBuf,
        /// The kernel's reason.
        #[source]
        source: io::Error,
    },
}

/// The directory cannot be followed any longer.
#[derive(Debug, Error)]
#[error("cannot read from inotify")]
pub struct WatchError(#[from] io::Error);

/// A directory of manifests that is being followed: files `*.yaml`, `*.yml` and `*.json`, not
/// hidden ones, without subdirectories. Links are followed; a change behind one shows when the
/// link itself, or a mounted ConfigMap's `..data`, is replaced.
pub struct Manifests {
    directory: PathBuf,
    proxy_name: Option<String>,
    index: Index,
    digests: Digests,
    watch: Watch,
    pending: Pending,
    lost: Option<Problem>,
    told: Vec<Problem>,
}

impl Manifests {
    /// Reads the directory once and starts to follow it, so that nothing is missed in between.
    /// Must be called in a tokio runtime with I/O and time enabled.
    ///
    /// # Errors
    ///
    /// Where the directory cannot be read or followed; a broken file is a [`Problem`].
    pub fn open(
        directory: &Path,
        options: Options,
    ) -> Result<(Self, Snapshot, Vec<Problem>), OpenError> {
        let failed = |source| OpenError::Follow { path: directory.to_owned(), source };
        let mut watch = Watch::new(directory).map_err(OpenError::Inotify)?;
        watch.start().map_err(failed)?;
        let failed = |source| OpenError::List { path: directory.to_owned(), source };
        let names = content::list(directory).map_err(failed)?;
        let proxy_name = options.proxy_name;
        let (readings, digests) = content::read_all(directory, &names, proxy_name.as_deref());
        let mut index = Index::new(&options.node, options.addresses);
        let mut snapshot = Snapshot::default();
        for change in index.apply(readings) {
            snapshot.change(change);
        }
        let problems = index.problems();
        let manifests = Self {
            directory: directory.to_owned(),
            proxy_name,
            index,
            digests,
            watch,
            pending: Pending::default(),
            lost: None,
            told: problems.clone(),
        };
        Ok((manifests, snapshot, problems))
    }

    /// Waits for the next change on disk. Cancel safe. Files are read where this is polled: some
    /// microseconds for an object, a second for tens of megabytes.
    ///
    /// # Errors
    ///
    /// Where inotify fails; everything else is a [`Problem`], and the last good state stays.
    pub async fn next(&mut self) -> Result<Update, WatchError> {
        loop {
            if self.lost.is_some() {
                sleep(RETRY).await;
            } else {
                while !self.pending.is_due() {
                    self.watch.wait(&mut self.pending).await?;
                }
                if self.pending.may_return() {
                    sleep(GRACE).await;
                    self.watch.drain(&mut self.pending)?;
                }
            }
            let changes = self.take_in()?;
            let problems: Vec<_> = self.lost.iter().cloned().chain(self.index.problems()).collect();
            let pods = self.index.take_pods();
            if !changes.is_empty() || !pods.is_empty() || problems != self.told {
                self.told.clone_from(&problems);
                return Ok(Update { changes, pods, problems, ..Update::default() });
            }
        }
    }

    /// This node's Pods that were found at the start.
    pub fn found_pods(&mut self) -> Vec<PodChange> {
        self.index.take_pods()
    }

    /// What changes if these objects were in the directory, instead of those of the same names.
    pub fn suppose(&mut self, supposed: Supposed) -> Update {
        let changes = self.index.suppose(supposed.into_files());
        let (pods, problems) = (self.index.take_pods(), self.index.problems());
        Update { changes, pods, problems, ..Update::default() }
    }

    /// Files that there are, but that were broken whenever they were read since the start: what
    /// they declare is not known, and so neither is the whole state of the cluster.
    pub fn unknown_files(&self) -> impl Iterator<Item = &str> {
        self.index.unknown_files()
    }

    /// Whether every file has been whole once since the start, or is gone.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.unknown_files().next().is_none()
    }

    /// Replaces the addresses that the node's interfaces have.
    pub fn set_node_addresses(&mut self, addresses: Vec<IpAddr>) -> Option<Change> {
        self.index.set_node_addresses(addresses)
    }

    /// Does what is pending.
    fn take_in(&mut self) -> Result<Vec<Change>, WatchError> {
        if self.pending.lost || self.lost.is_some() {
            // One of the same name may be in its place already.
            match self.watch.start() {
                Ok(()) => {
                    self.lost = None;
                    self.pending.clear();
                    self.pending.all = true;
                }
                Err(error) => {
                    self.lost = Some(self.directory_lost(&error));
                    // The files went with it; that is no word on the objects.
                    self.pending.clear();
                    return Ok(Vec::new());
                }
            }
        }
        let names = if self.pending.all {
            match content::list(&self.directory) {
                Ok(names) => {
                    self.pending.all = false;
                    self.pending.take_due();
                    let mut names: Vec<_> =
                        names.into_iter().chain(self.index.files().cloned()).collect();
                    names.sort_unstable();
                    names.dedup();
                    names
                }
                Err(error) => {
                    self.lost = Some(self.directory_lost(&error));
                    self.pending.clear();
                    return Ok(Vec::new());
                }
            }
        } else {
            self.pending.take_due().into_iter().map(Arc::from).collect()
        };
        let readings = self.read(&names)?;
        Ok(self.index.apply(readings))
    }

    /// Reads files, except those that someone began to write meanwhile: their end is an event.
    fn read(&mut self, names: &[Arc<str>]) -> Result<Vec<(Arc<str>, Reading)>, WatchError> {
        let mut readings = Vec::new();
        for name in names {
            let content = content::read(&self.directory.join(&**name));
            self.watch.drain(&mut self.pending)?;
            if self.pending.is_written(name) && !matches!(content, Content::Missing) {
                continue;
            }
            let reading = self.digests.reading(name, content, self.proxy_name.as_deref());
            readings.extend(reading.map(|reading| (Arc::clone(name), reading)));
        }
        Ok(readings)
    }

    fn directory_lost(&self, error: &io::Error) -> Problem {
        Problem {
            object: format!("directory {}", self.directory.display()),
            field: String::new(),
            reason: format!("cannot be followed any more: {error}"),
            hint: "the last good state stays; it is read again once it is back".into(),
        }
    }
}
