use std::{
    collections::HashMap,
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    panic::resume_unwind,
    path::Path,
    sync::Arc,
    thread,
};

use super::pending::is_manifest;
use crate::{
    index::Reading,
    manifest::{self, broken},
};

/// Larger files are refused: none that a person or a cluster writes comes near.
const LARGEST: u64 = 256 << 20;

/// Digests of the texts that the index has taken in, so that a file is parsed only when its text
/// is another.
#[derive(Debug, Default)]
pub(super) struct Digests(HashMap<Arc<str>, u64>);

/// The text of a file, or why there is none.
pub(super) enum Content {
    /// The text and its digest.
    Text(Vec<u8>, u64),
    /// Why it cannot be read.
    Unreadable(String),
    /// There is no such file.
    Missing,
}

/// The names of the manifests in a directory, ordered; subdirectories are not looked into.
pub(super) fn list(directory: &Path) -> io::Result<Vec<Arc<str>>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        names.extend(name.to_str().filter(|name| is_manifest(name)).map(Arc::from));
    }
    names.sort_unstable();
    Ok(names)
}

/// Reads a file.
pub(super) fn read(path: &Path) -> Content {
    match text(path) {
        Ok(Ok(text)) => {
            let mut hasher = DefaultHasher::new();
            text.hash(&mut hasher);
            Content::Text(text, hasher.finish())
        }
        Ok(Err(reason)) => Content::Unreadable(reason),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Content::Missing,
        Err(error) => Content::Unreadable(format!("cannot be read: {error}")),
    }
}

/// Only ordinary files: to open a pipe would wait for its other end.
fn text(path: &Path) -> io::Result<Result<Vec<u8>, String>> {
    let file = fs::metadata(path)?;
    if !file.is_file() {
        return Ok(Err("is not a file".into()));
    }
    if file.len() > LARGEST {
        return Ok(Err(format!("is larger than {} MiB", LARGEST >> 20)));
    }
    fs::read(path).map(Ok)
}

impl Digests {
    /// What a file's content means for the index; `None` where it is what the index has.
    pub(super) fn reading(
        &mut self,
        name: &Arc<str>,
        content: Content,
        proxy: Option<&str>,
    ) -> Option<Reading> {
        match content {
            Content::Text(text, digest) => {
                let known = self.0.insert(Arc::clone(name), digest) == Some(digest);
                (!known).then(|| parse(name, &text, proxy))
            }
            Content::Unreadable(reason) => {
                self.0.remove(name);
                Some(Reading::Broken(broken(name.to_string(), reason)))
            }
            Content::Missing => {
                self.0.remove(name);
                Some(Reading::Gone)
            }
        }
    }
}

fn parse(name: &str, text: &[u8], proxy: Option<&str>) -> Reading {
    manifest::parse(name, text, proxy).map_or_else(Reading::Broken, Reading::Read)
}

/// Reads many files on all processors.
pub(super) fn read_all(
    directory: &Path,
    names: &[Arc<str>],
    proxy: Option<&str>,
) -> (Vec<(Arc<str>, Reading)>, Digests) {
    let workers = thread::available_parallelism().map_or(1, Into::into);
    let share = names.len().div_ceil(workers).max(1);
    let work = |names: &[Arc<str>]| {
        let mut digests = Digests::default();
        let read = names.iter().filter_map(|name| {
            let reading = digests.reading(name, read(&directory.join(&**name)), proxy);
            reading.map(|reading| (Arc::clone(name), reading))
        });
        (read.collect::<Vec<_>>(), digests)
    };
    let mut shares = names.chunks(share);
    let first = shares.next().unwrap_or_default();
    thread::scope(|scope| {
        let workers: Vec<_> = shares.map(|names| scope.spawn(move || work(names))).collect();
        // The first share here, where what it leaves of the heap is used again.
        let (readings, mut digests) = work(first);
        let mut all = Vec::with_capacity(names.len());
        all.extend(readings);
        for worker in workers {
            // After a panic in the thread, the same panic here: there is nothing to go on with.
            let (readings, others) = worker.join().unwrap_or_else(|cause| resume_unwind(cause));
            all.extend(readings);
            digests.0.extend(others.0);
        }
        (all, digests)
    })
}
