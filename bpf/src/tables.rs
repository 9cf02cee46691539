//! The decision's view of the maps.

use core::ffi::c_void;

use aya_ebpf::helpers::bpf_loop;
use etm_abi::{BACKEND_AVAILABLE, BACKEND_FREE, Backend};
use etm_decide::{Tables, UNROLLED_STEPS, connections};

use crate::{ejection, maps, settings};

/// `SLOTS` and `BACKENDS`.
pub struct Maps;

impl Tables for Maps {
    type Backend = &'static Backend;

    #[inline(always)]
    fn word(&self, index: u32) -> Option<u64> {
        maps::SLOTS.get(index).copied()
    }

    #[inline(always)]
    fn available(&self, id: u32) -> Option<&'static Backend> {
        maps::BACKENDS
            .get(id)
            .filter(|backend| backend.state == BACKEND_AVAILABLE || ejection::is_due(backend))
    }

    #[inline(always)]
    fn connections(&self, id: u32) -> u32 {
        maps::CONNECTIONS.get(id).map_or(0, |count| connections(*count))
    }

    #[inline(always)]
    fn search<P: FnMut(u32) -> Option<u32>>(&self, count: u32, probe: P) -> Option<u32> {
        let mut search = Search { probe, found: NOT_FOUND };
        if settings::has_loop() {
            let context = (&raw mut search).cast::<c_void>();
            // SAFETY: `step::<P>` is a callback of the signature that bpf_loop asks for, and the
            // context outlives the call.
            unsafe { bpf_loop(count, step::<P> as *mut c_void, context, 0) };
        } else {
            let mut index = 0;
            while index < UNROLLED_STEPS && index < count {
                if let Some(backend) = (search.probe)(index) {
                    return Some(backend);
                }
                index += 1;
            }
        }
        (search.found != NOT_FOUND).then_some(search.found as u32)
    }
}

/// The same maps, with every member taken for usable.
pub struct Anyway;

impl Tables for Anyway {
    type Backend = &'static Backend;

    #[inline(always)]
    fn word(&self, index: u32) -> Option<u64> {
        Maps.word(index)
    }

    #[inline(always)]
    fn available(&self, id: u32) -> Option<&'static Backend> {
        maps::BACKENDS.get(id).filter(|backend| backend.state != BACKEND_FREE)
    }

    #[inline(always)]
    fn connections(&self, id: u32) -> u32 {
        Maps.connections(id)
    }

    #[inline(always)]
    fn search<P: FnMut(u32) -> Option<u32>>(&self, count: u32, probe: P) -> Option<u32> {
        Maps.search(count, probe)
    }
}

const NOT_FOUND: u64 = u64::MAX;

struct Search<P> {
    probe: P,
    found: u64,
}

/// Callback of `bpf_loop`: 0 goes on, 1 stops.
#[inline(never)]
extern "C" fn step<P: FnMut(u32) -> Option<u32>>(index: u64, context: *mut c_void) -> i64 {
    // SAFETY: the context is the `Search<P>` on the stack of `search`, which waits for the loop.
    let search = unsafe { &mut *context.cast::<Search<P>>() };
    match (search.probe)(index as u32) {
        Some(backend) => {
            search.found = backend as u64;
            1
        }
        None => 0,
    }
}
