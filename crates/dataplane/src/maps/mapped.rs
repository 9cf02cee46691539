use std::{
    io,
    marker::PhantomData,
    os::fd::AsFd as _,
    path::Path,
    ptr::{self, NonNull},
    slice,
    sync::atomic::AtomicU64,
};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use crate::{
    error::MapError,
    maps::{call, open},
};

/// A `BPF_F_MMAPABLE` array as memory of this process: a write is a store, 1.3 ns instead of a
/// system call.
pub(crate) struct Mapped<T> {
    base: NonNull<T>,
    entries: u32,
    bytes: usize,
    element: PhantomData<T>,
}

// SAFETY: the mapping belongs to the process, not to a thread; writes need `&mut`, and what the
// kernel's programs write beside us is read and written only as whole volatile elements.
unsafe impl<T: Send> Send for Mapped<T> {}

impl<T: etm_abi::Pod> Mapped<T> {
    pub(crate) fn open(directory: &Path, name: &'static str) -> Result<Self, MapError> {
        Self::open_parts(directory, name, 1)
    }

    /// An array whose elements are made of so many `T` each, as one of these.
    pub(crate) fn open_parts(
        directory: &Path,
        name: &'static str,
        parts: u32,
    ) -> Result<Self, MapError> {
        let map = open(directory, name)?;
        let info = map.info().map_err(call(name))?;
        let entries = info.max_entries().saturating_mul(parts);
        let bytes = entries as usize * size_of::<T>();
        if info.value_size() as usize != parts as usize * size_of::<T>() {
            return Err(MapError::Missing { name });
        }
        // SAFETY: a fresh shared mapping at an address of the kernel's choice overlaps nothing.
        let base = unsafe {
            mmap(
                ptr::null_mut(),
                bytes,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                map.fd().as_fd(),
                0,
            )
        }
        .map_err(|errno| MapError::Mmap { name, source: io::Error::from(errno) })?;
        let base = NonNull::new(base.cast()).ok_or(MapError::Missing { name })?;
        Ok(Self { base, entries, bytes, element: PhantomData })
    }

    pub(crate) const fn len(&self) -> u32 {
        self.entries
    }

    /// The element at an index; none outside of the array.
    pub(crate) fn get(&self, index: u32) -> Option<T> {
        // SAFETY: the index is within the mapping, whose base is page-aligned and which holds only
        // integers; volatile, since the kernel may write at any time.
        (index < self.entries)
            .then(|| unsafe { ptr::read_volatile(self.base.as_ptr().add(index as usize)) })
    }

    /// The words of an element, for reads and writes in a certain order; none outside of the array,
    /// or for elements that are not made of words.
    pub(crate) fn words(&self, index: u32) -> Option<&[AtomicU64]> {
        let words = size_of::<T>() / size_of::<AtomicU64>();
        let aligned = align_of::<T>() >= align_of::<AtomicU64>();
        // SAFETY: as in `get`; the words of an element, which live as long as the mapping and are
        // written by whatever else writes them, kernel programs included, one word at a time.
        (aligned && index < self.entries).then(|| unsafe {
            slice::from_raw_parts(self.base.as_ptr().add(index as usize).cast(), words)
        })
    }

    /// Writes an element, and says whether the index is within the array.
    pub(crate) fn set(&mut self, index: u32, value: T) -> bool {
        let within = index < self.entries;
        if within {
            // SAFETY: as in `get`.
            unsafe { ptr::write_volatile(self.base.as_ptr().add(index as usize), value) };
        }
        within
    }
}

impl<T> Drop for Mapped<T> {
    fn drop(&mut self) {
        // SAFETY: exactly the range that `open` mapped, which nothing borrows any more.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), self.bytes) };
    }
}
