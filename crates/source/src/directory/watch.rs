use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use futures_util::{FutureExt, StreamExt};
use inotify::{EventMask, EventOwned, EventStream, Inotify, WatchDescriptor, WatchMask};

use super::pending::{Happened, Pending};

/// The name that a mounted ConfigMap swaps to replace all of its files at once.
const CONFIG_MAP_DATA: &str = "..data";

/// inotify on one directory.
pub(super) struct Watch {
    directory: PathBuf,
    events: EventStream<Vec<u8>>,
    /// None while the directory is not there.
    descriptor: Option<WatchDescriptor>,
}

impl Watch {
    /// An inotify instance, without a watch so far. Must be called in a tokio runtime.
    pub(super) fn new(directory: &Path) -> io::Result<Self> {
        // Room for some hundred events, so that a burst takes few reads.
        let events = Inotify::init()?.into_event_stream(vec![0; 64 * 1024])?;
        Ok(Self { directory: directory.to_owned(), events, descriptor: None })
    }

    /// Starts to follow the directory; what happens from now on is noticed.
    pub(super) fn start(&mut self) -> io::Result<()> {
        let mask = WatchMask::CREATE
            | WatchMask::MODIFY
            | WatchMask::CLOSE_WRITE
            | WatchMask::ATTRIB
            | WatchMask::MOVE
            | WatchMask::DELETE
            | WatchMask::DELETE_SELF
            | WatchMask::MOVE_SELF
            | WatchMask::ONLYDIR;
        self.descriptor = Some(self.events.watches().add(&self.directory, mask)?);
        Ok(())
    }

    /// Waits for an event, then notes all that have come in. Cancel safe.
    pub(super) async fn wait(&mut self, pending: &mut Pending) -> io::Result<()> {
        if let Some(event) = self.events.next().await {
            self.note(event?, pending);
        }
        self.drain(pending)
    }

    /// Notes all events that have come in, and does not wait.
    pub(super) fn drain(&mut self, pending: &mut Pending) -> io::Result<()> {
        while let Some(Some(event)) = self.events.next().now_or_never() {
            self.note(event?, pending);
        }
        Ok(())
    }

    fn note(&mut self, event: EventOwned, pending: &mut Pending) {
        if event.mask.contains(EventMask::Q_OVERFLOW) {
            // What became of files that were being written is not known any more either.
            pending.clear();
            pending.all = true;
            return;
        }
        // Events of a directory that was here before, still in the queue.
        if self.descriptor.as_ref() != Some(&event.wd) {
            return;
        }
        let gone = EventMask::DELETE_SELF | EventMask::MOVE_SELF | EventMask::UNMOUNT;
        if event.mask.intersects(gone | EventMask::IGNORED) {
            if event.mask.contains(EventMask::MOVE_SELF) {
                // It would go on under its new name. An error means that it is gone already.
                let _gone = self.events.watches().remove(event.wd);
            }
            self.descriptor = None;
            pending.lost = true;
            return;
        }
        let Some(name) = event.name.as_deref().and_then(|name| name.to_str()) else { return };
        if name == CONFIG_MAP_DATA {
            pending.all |= event.mask.contains(EventMask::MOVED_TO);
        } else if event.mask.intersects(EventMask::CLOSE_WRITE | EventMask::MOVED_TO) {
            pending.note(name, Happened::Whole);
        } else if event.mask.intersects(EventMask::DELETE | EventMask::MOVED_FROM) {
            pending.note(name, Happened::Gone);
        } else if event.mask.contains(EventMask::MODIFY) {
            pending.note(name, Happened::Written);
        } else if event.mask.contains(EventMask::CREATE) {
            let linked = is_link(&self.directory.join(name));
            pending.note(name, if linked { Happened::Whole } else { Happened::Written });
        } else if event.mask.contains(EventMask::ATTRIB) && !pending.is_written(name) {
            // It may be readable now.
            pending.note(name, Happened::Whole);
        }
    }
}

/// Whether a name that has just come up is a link, which nobody will write to and close.
fn is_link(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|file| file.is_symlink() || file.nlink() > 1)
}
