//! `CHOICES`: which members callers were hashed to lately.
//!
//! To hash and to compare members takes longer than to remember what came of it, for as long as the table
//! and what is known of the caller are the same. Pods are remembered, and not what runs in the node's own
//! network namespace, since a cgroup does not tell whether something does.

use core::ptr;

use etm_abi::{CHOICE_PLACES, Choice, Target};

use crate::{caller_cache, callers, maps};

/// What a member is remembered under.
#[derive(Clone, Copy)]
pub struct Key {
    cgroup: u64,
    target: Target,
    version: u64,
}

impl Key {
    /// That of the calling process, for a table of a generation.
    #[inline(always)]
    pub fn new(target: Target, generation: u32) -> Option<Self> {
        let version = generation as u64 | caller_cache::epoch()? << 32;
        Some(Self { cgroup: callers::cgroup(), target, version })
    }

    #[inline(always)]
    fn mark(&self) -> u64 {
        Choice::mark(self.cgroup, self.target.0, self.version)
    }

    /// The member.
    #[inline(always)]
    pub fn recall(&self) -> Option<u32> {
        let mark = self.mark();
        let place = place(mark)?;
        // SAFETY: `place` is an element of CHOICES; volatile, since other CPUs write it.
        let (cgroup, target, version, member) = unsafe {
            (
                ptr::read_volatile(&raw const (*place).cgroup),
                ptr::read_volatile(&raw const (*place).target),
                ptr::read_volatile(&raw const (*place).version),
                ptr::read_volatile(&raw const (*place).member),
            )
        };
        let backend = member as u32;
        let is_its = cgroup == self.cgroup
            && target == self.target.0
            && version == self.version
            && member == Choice::member(mark, backend);
        is_its.then_some(backend)
    }

    /// Remembers the member.
    #[inline(always)]
    pub fn note(&self, backend: u32) {
        etm_note(self.cgroup, self.target.0, self.version, backend as u64);
    }
}

#[inline(always)]
fn place(mark: u64) -> Option<*mut Choice> {
    maps::CHOICES.get_ptr_mut(mark as u32 & (CHOICE_PLACES - 1))
}

/// Global, so that the verifier looks at it once.
// SAFETY: no other symbol has the name.
#[unsafe(no_mangle)]
#[cold]
#[inline(never)]
extern "C" fn etm_note(cgroup: u64, target: u64, version: u64, backend: u64) -> u64 {
    let mark = Choice::mark(cgroup, target, version);
    let Some(place) = place(mark) else { return 0 };
    // The process may have been moved to another cgroup meanwhile.
    if callers::cgroup() != cgroup || !caller_cache::is_pod(cgroup, (version >> 32) as u32) {
        return 0;
    }
    // SAFETY: `place` is an element of CHOICES; volatile, since other CPUs write it.
    unsafe {
        ptr::write_volatile(&raw mut (*place).member, 0);
        ptr::write_volatile(&raw mut (*place).cgroup, cgroup);
        ptr::write_volatile(&raw mut (*place).target, target);
        ptr::write_volatile(&raw mut (*place).version, version);
        ptr::write_volatile(&raw mut (*place).member, Choice::member(mark, backend as u32));
    }
    1
}
