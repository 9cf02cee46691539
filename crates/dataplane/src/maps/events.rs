use std::{
    os::fd::{AsFd, BorrowedFd},
    path::Path,
    ptr,
};

use aya::maps::{MapData, RingBuf};
use etm_abi::Event;

use crate::{
    error::MapError,
    maps::{call, open_map},
};

/// The ring buffer `EVENTS`; its descriptor turns readable when there is an event.
pub struct Events(RingBuf<MapData>);

const NAME: &str = "EVENTS";

impl Events {
    pub(crate) fn open(directory: &Path) -> Result<Self, MapError> {
        Ok(Self(open_map(directory, NAME)?.try_into().map_err(call(NAME))?))
    }
}

impl Iterator for Events {
    type Item = Event;

    /// Takes the next event; none where all are taken.
    fn next(&mut self) -> Option<Event> {
        let item = self.0.next()?;
        // SAFETY: only the kernel programs write here, records of exactly this size; the bytes are
        // copied out while `item` holds them.
        (item.len() == size_of::<Event>())
            .then(|| unsafe { ptr::read_unaligned(item.as_ptr().cast()) })
    }
}

impl AsFd for Events {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
