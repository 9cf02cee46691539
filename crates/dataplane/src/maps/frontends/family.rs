use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use etm_abi::{Frontend, Pod};

use super::cells::Cells;
use crate::{error::MapError, maps::Mapped};

/// The frontends of one family, in an array that is mapped only where it has some: most clusters
/// have one family, and mapped memory counts as the agent's.
pub(super) struct Family<T, const KEY: usize> {
    directory: PathBuf,
    name: &'static str,
    cells: Option<Cells<Mapped<T>, KEY>>,
    len: u32,
}

impl<T: Pod, const KEY: usize> Family<T, KEY> {
    pub(super) fn open(directory: &Path, name: &'static str) -> Result<Self, MapError> {
        let mapped = Mapped::open(directory, name)?;
        let len = mapped.len();
        let cells = Cells::new(mapped);
        let cells = (!cells.is_unused()).then_some(cells);
        Ok(Self { directory: directory.to_owned(), name, cells, len })
    }

    /// Number of cells.
    pub(super) const fn len(&self) -> u32 {
        self.len
    }

    /// Writes a frontend; `false` where every cell in which it could be is taken.
    pub(super) fn set(
        &mut self,
        hash: u32,
        key: [u64; KEY],
        value: &Frontend,
        now: Instant,
    ) -> Result<bool, MapError> {
        let cells = match &mut self.cells {
            Some(cells) => cells,
            none => none.insert(Cells::new(Mapped::open(&self.directory, self.name)?)),
        };
        Ok(cells.set(hash, key, value, now))
    }

    pub(super) fn remove(&mut self, hash: u32, key: [u64; KEY], now: Instant) {
        if let Some(cells) = &mut self.cells {
            cells.remove(hash, key, now);
        }
    }

    pub(super) fn get(&self, hash: u32, key: [u64; KEY]) -> Option<Frontend> {
        self.cells.as_ref()?.get(hash, key)
    }

    /// Every frontend with its key.
    pub(super) fn all(&self) -> impl Iterator<Item = ([u64; KEY], Frontend)> {
        self.cells.iter().flat_map(Cells::all)
    }
}
