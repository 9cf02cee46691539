//! `CONNECTIONS`: how many sockets each backend has, of those that were given to it by load.

use core::{intrinsics, ptr};

use etm_abi::{Backend, Flow};

use crate::maps;

/// Counts a socket in, and gives what [`Flow::incarnation`] is to be.
#[inline(always)]
pub fn open(backend: u32, pod: &Backend) -> u32 {
    // SAFETY: a field of an element of an array; the agent may be giving it to another Pod.
    let incarnation = unsafe { ptr::read_volatile(&raw const pod.incarnation) };
    add(backend, 1);
    incarnation
}

/// What a record says of its socket's being counted.
#[derive(Clone, Copy)]
pub struct Counted {
    backend: u32,
    incarnation: u32,
}

impl Counted {
    #[inline(always)]
    pub fn of(flow: *const Flow) -> Self {
        // SAFETY: an element of a map; whoever uses it checks that the record was its own.
        unsafe {
            Self {
                backend: ptr::read_volatile(&raw const (*flow).backend),
                incarnation: ptr::read_volatile(&raw const (*flow).incarnation),
            }
        }
    }

    /// Counts the socket out, if it was counted.
    #[inline(always)]
    pub fn close(self) {
        if self.incarnation != 0 {
            self.close_counted();
        }
    }

    /// Leaves a count alone that has begun anew meanwhile, for another Pod.
    #[cold]
    #[inline(never)]
    fn close_counted(self) {
        let same = maps::BACKENDS.get(self.backend).is_some_and(|record| {
            // SAFETY: as in `open`.
            unsafe { ptr::read_volatile(&raw const record.incarnation) == self.incarnation }
        });
        if same {
            add(self.backend, u64::MAX);
        }
    }
}

#[inline(always)]
fn add(backend: u32, difference: u64) {
    let Some(count) = maps::CONNECTIONS.get_ptr_mut(backend) else { return };
    // SAFETY: an element of the array, aligned to 8 bytes.
    unsafe {
        intrinsics::atomic_xadd::<u64, u64, { intrinsics::AtomicOrdering::Relaxed }>(
            count, difference,
        )
    };
}
