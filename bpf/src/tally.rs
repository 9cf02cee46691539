//! `OUTCOMES`: how many connections and UDP flows of each backend came to what.

use core::intrinsics;

use etm_abi::Outcomes;

use crate::maps;

macro_rules! count {
    ($field:ident) => {
        #[inline(always)]
        pub fn $field(id: u32) {
            add(id, |outcomes| &raw mut outcomes.$field, 1);
        }
    };
}

count!(refused);
count!(timed_out);
count!(reset);
count!(syn_retransmits);

/// A UDP Pod has replied.
#[inline(always)]
pub fn answered(id: u32) {
    add(id, |outcomes| &raw mut outcomes.established, 1);
}

#[inline(always)]
pub fn retransmits(id: u32, segments: u32) {
    add(id, |outcomes| &raw mut outcomes.retransmits, segments);
}

#[inline(always)]
fn add(backend: u32, counter: impl Fn(&mut Outcomes) -> *mut u32, difference: u32) {
    let Some(outcomes) = maps::OUTCOMES.get_ptr_mut(backend) else { return };
    // SAFETY: a field of an element of the array, aligned to 4 bytes.
    unsafe {
        intrinsics::atomic_xadd::<u32, u32, { intrinsics::AtomicOrdering::Relaxed }>(
            counter(&mut *outcomes),
            difference,
        )
    };
}

/// Counts a connection that is established, and the time that its handshake took.
#[inline(always)]
pub fn add_established(backend: u32, rtt: u32) {
    let Some(outcomes) = maps::OUTCOMES.get_ptr_mut(backend) else { return };
    // SAFETY: the first two fields of an element of the array, aligned to 8 bytes together.
    unsafe {
        intrinsics::atomic_xadd::<u64, u64, { intrinsics::AtomicOrdering::Relaxed }>(
            (&raw mut (*outcomes).established).cast::<u64>(),
            1 | (rtt as u64) << 32,
        )
    };
}
