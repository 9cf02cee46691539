//! Scratch folders for pins.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{Error, mounts, scratch, sweep};

/// A folder in bpffs; removed on drop with every pin in it.
#[derive(Debug)]
pub struct BpfDir {
    path: PathBuf,
}

impl BpfDir {
    /// Makes an empty folder.
    ///
    /// # Errors
    ///
    /// [`Error::NotMounted`] without bpffs, [`Error::Io`] without the privilege.
    pub fn new() -> Result<Self, Error> {
        sweep::sweep();
        let path = mounts::bpffs()?.join(scratch::name());
        fs::create_dir(&path).map_err(Error::io(format!("create {}", path.display())))?;
        Ok(Self { path })
    }

    /// Its absolute path, as `--pin` of the agent takes it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for BpfDir {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

/// Unlinks pins, which detaches links that nobody else holds, then removes the folders.
pub(crate) fn remove(path: &Path) {
    let _ = fs::remove_dir_all(path);
}
