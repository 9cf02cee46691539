//! Scratch folders on disk.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::{Error, scratch, sweep};

/// A folder for files of this process, removed on drop with all that is in it.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Makes an empty one.
    pub(crate) fn new() -> Result<Self, Error> {
        sweep::sweep();
        let path = root().join(scratch::name());
        fs::create_dir_all(&path).map_err(Error::io(format!("create {}", path.display())))?;
        Ok(Self { path })
    }

    /// Its absolute path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a folder inside of it.
    pub(crate) fn child(&self, name: &str) -> Result<PathBuf, Error> {
        let path = self.path.join(name);
        fs::create_dir_all(&path).map_err(Error::io(format!("create {}", path.display())))?;
        Ok(path)
    }

    /// Writes a file into it.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<PathBuf, Error> {
        let path = self.path.join(name);
        fs::write(&path, text).map_err(Error::io(format!("write {}", path.display())))?;
        Ok(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Where scratch folders are made.
pub(crate) fn root() -> PathBuf {
    env::temp_dir()
}
