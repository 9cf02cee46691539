//! The decision's view of the maps.

use core::{arch::asm, ffi::c_void};

use aya_ebpf::helpers::bpf_loop;
use etm_abi::{BACKEND_AVAILABLE, BACKEND_FREE, Backend, Class, LINE_SLOTS, LINE_WORDS};
use etm_decide::{Line, Tables, UNROLLED_STEPS, connections};

use crate::{ejection, maps, route, settings};

/// `SLOTS` and `BACKENDS`.
pub struct Maps;

impl Tables for Maps {
    type Backend = &'static Backend;
    type Line = &'static Line;

    #[inline(always)]
    fn line(&self, index: u32) -> Option<&'static Line> {
        maps::SLOTS.get(index)
    }

    #[inline(always)]
    fn slot(&self, index: u32) -> Option<u32> {
        let line: *const Line = maps::SLOTS.get(index / LINE_SLOTS)?;
        // SAFETY: one of the 16 slots of a line, which holds integers.
        Some(unsafe { *line.cast::<u32>().add((index % LINE_SLOTS) as usize) })
    }

    #[inline(always)]
    fn route_word(&self, index: u32) -> Option<u64> {
        let line: *const Line = maps::ROUTES.get(index / LINE_WORDS)?;
        // SAFETY: one of the 8 words of a line.
        Some(unsafe { *line.cast::<u64>().add((index % LINE_WORDS) as usize) })
    }

    #[inline(always)]
    fn has_member(&self, class: Class, backend: u32) -> bool {
        route::has_member(class, backend)
    }

    /// The difference where it is below zero, else zero, added to `b`.
    #[inline(always)]
    fn lesser(a: u64, b: u64) -> u64 {
        let mut least = b;
        // SAFETY: arithmetic on registers, and nothing else.
        unsafe {
            asm!(
                "{difference} -= {b}",
                "{sign} = {difference}",
                "{sign} s>>= 63",
                "{difference} &= {sign}",
                "{b} += {difference}",
                difference = inout(reg) a => _,
                sign = out(reg) _,
                b = inout(reg) least,
                options(pure, nomem, nostack),
            );
        }
        least
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
        let context = (&raw mut search).cast::<c_void>();
        if settings::has_loop() {
            // SAFETY: `step::<P>` is a callback of the signature that bpf_loop asks for, and the
            // context outlives the call.
            unsafe { bpf_loop(count, step::<P> as *mut c_void, context, 0) };
        } else {
            let mut index = 0;
            while index < UNROLLED_STEPS && index < count {
                if step::<P>(index as u64, context) != 0 {
                    break;
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
    type Line = &'static Line;

    #[inline(always)]
    fn line(&self, index: u32) -> Option<&'static Line> {
        Maps.line(index)
    }

    #[inline(always)]
    fn slot(&self, index: u32) -> Option<u32> {
        Maps.slot(index)
    }

    #[inline(always)]
    fn lesser(a: u64, b: u64) -> u64 {
        Maps::lesser(a, b)
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
