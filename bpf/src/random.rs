//! Random numbers for the choice of a Pod: a generator for each CPU.

use aya_ebpf::helpers::bpf_get_prandom_u32;

use crate::maps;

/// An even random value.
#[inline(always)]
pub fn random() -> u32 {
    let Some(state) = maps::RANDOM.get_ptr_mut(0) else { return kernel() };
    // SAFETY: the cell is this CPU's own; a program that preempts this one between load and store
    // may draw the same number.
    let state = unsafe { &mut *state };
    if *state == 0 {
        *state = seed();
    }
    etm_decide::random(state)
}

/// Where the sequence of a CPU begins.
#[cold]
#[inline(never)]
fn seed() -> u64 {
    (kernel() as u64) << 32 | kernel() as u64
}

#[inline(always)]
fn kernel() -> u32 {
    // SAFETY: the helper takes nothing.
    unsafe { bpf_get_prandom_u32() }
}
