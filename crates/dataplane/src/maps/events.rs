use std::{
    marker::PhantomData,
    os::fd::{AsFd, BorrowedFd},
    path::Path,
    ptr,
};

use aya::maps::{MapData, RingBuf};
use etm_abi::{Ejection, Event};

use crate::{
    error::MapError,
    maps::{call, open_map},
};

/// A ring buffer of one kind of records; its descriptor turns readable when there is one.
pub struct Ring<T> {
    ring: RingBuf<MapData>,
    record: PhantomData<T>,
}

/// The ring buffer `EVENTS`: refusals.
pub type Events = Ring<Event>;
/// The ring buffer `EJECTIONS`: what became of backends.
pub type Ejections = Ring<Ejection>;

impl Events {
    pub(crate) fn open(directory: &Path) -> Result<Self, MapError> {
        Self::open_named(directory, "EVENTS")
    }
}

impl Ejections {
    pub(crate) fn open(directory: &Path) -> Result<Self, MapError> {
        Self::open_named(directory, "EJECTIONS")
    }
}

impl<T: etm_abi::Pod> Ring<T> {
    fn open_named(directory: &Path, name: &'static str) -> Result<Self, MapError> {
        let ring = open_map(directory, name)?.try_into().map_err(call(name))?;
        Ok(Self { ring, record: PhantomData })
    }
}

impl<T: etm_abi::Pod> Iterator for Ring<T> {
    type Item = T;

    /// Takes the next record; none where all are taken.
    fn next(&mut self) -> Option<T> {
        let item = self.ring.next()?;
        // SAFETY: only the kernel programs write here, records of exactly this size; the bytes are
        // copied out while `item` holds them.
        (item.len() == size_of::<T>()).then(|| unsafe { ptr::read_unaligned(item.as_ptr().cast()) })
    }
}

impl<T> AsFd for Ring<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ring.as_fd()
    }
}
