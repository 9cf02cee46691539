//! `CALLER_CACHE`: where processes lately turned out to belong.

use core::{intrinsics, ptr};

use aya_ebpf::helpers::generated::bpf_get_current_ancestor_cgroup_id;
use etm_abi::{
    Address, CACHED_BUSY, CACHED_NODE, CALLER_LEVELS, CALLER_NODE, CALLER_PLACES, CachedCaller,
    Caller,
};

use crate::{
    callers::{Question, Record},
    maps,
};

/// What is known of a cgroup: its place in the cache says so, if its owner and epoch are right, and
/// the owner still is when all is read.
#[inline(always)]
pub fn cached<Q: Question>(cgroup: u64, question: Q) -> Option<Q::Answer> {
    let place = maps::CALLER_CACHE.get_ptr_mut(cgroup as u32 & (CALLER_PLACES - 1))?;
    let current = epoch()?;
    // SAFETY: `place` is an element of CALLER_CACHE; volatile, since other CPUs write it.
    let owner = || unsafe { ptr::read_volatile(&raw const (*place).cgroup) };
    // SAFETY: as above.
    if owner() == cgroup && unsafe { ptr::read_volatile(&raw const (*place).epoch) } == current {
        // SAFETY: as above.
        let found = unsafe { ptr::read_volatile(&raw const (*place).found) } != 0;
        let answer = question.ask(Place(place));
        if owner() == cgroup {
            return found.then_some(answer);
        }
    }
    looked_up(cgroup, current).map(|caller| question.ask(caller))
}

/// Whether a cgroup is known to be a Pod's, without a look into `CALLERS`; of an epoch, its lower half.
#[inline(always)]
pub fn is_pod(cgroup: u64, epoch: u32) -> bool {
    let Some(place) = maps::CALLER_CACHE.get_ptr(cgroup as u32 & (CALLER_PLACES - 1)) else {
        return false;
    };
    // SAFETY: an element of CALLER_CACHE; volatile, since other CPUs write it.
    unsafe {
        ptr::read_volatile(&raw const (*place).found) != 0
            && ptr::read_volatile(&raw const (*place).epoch) as u32 == epoch
            && ptr::read_volatile(&raw const (*place).cgroup) == cgroup
    }
}

#[derive(Clone, Copy)]
struct Place(*const CachedCaller);

macro_rules! field {
    ($field:ident, $type:ty) => {
        #[inline(always)]
        fn $field(self) -> $type {
            // SAFETY: an element of CALLER_CACHE; volatile, since other CPUs write it.
            unsafe { ptr::read_volatile(&raw const (*self.0).$field) }
        }
    };
}

impl Record for Place {
    field!(ipv4, u32);
    field!(pod, u64);
    field!(namespace, u64);
    field!(number, u32);

    #[inline(always)]
    fn ipv6(self) -> Address {
        // SAFETY: as above.
        let word = |index: usize| unsafe { ptr::read_volatile(&raw const (*self.0).ipv6[index]) };
        [word(0), word(1), word(2), word(3)]
    }
}

impl Record for &Caller {
    #[inline(always)]
    fn ipv4(self) -> u32 {
        self.ipv4
    }

    #[inline(always)]
    fn ipv6(self) -> Address {
        self.ipv6
    }

    #[inline(always)]
    fn pod(self) -> u64 {
        self.pod
    }

    #[inline(always)]
    fn namespace(self) -> u64 {
        self.namespace
    }

    #[inline(always)]
    fn number(self) -> u32 {
        self.number
    }
}

/// What `CALLER_EPOCH` is.
#[inline(always)]
pub fn epoch() -> Option<u64> {
    // SAFETY: an element of an array; volatile, since the agent writes it.
    Some(unsafe { ptr::read_volatile(maps::CALLER_EPOCH.get_ptr(0)?) })
}

/// What `CALLERS` says of a cgroup, which is written down for the next call.
#[cold]
#[inline(never)]
fn looked_up(cgroup: u64, epoch: u64) -> Option<&'static Caller> {
    match etm_look_up(cgroup, epoch) {
        NONE => None,
        // SAFETY: the value is replaced as a whole, never written in place, and stays readable for
        // as long as the program runs (RCU).
        key => unsafe { maps::CALLERS.get(key) },
    }
}

/// What [`etm_look_up`] gives where there is none.
const NONE: u64 = u64::MAX;

/// Looks a cgroup up, gives its key in `CALLERS`, and writes down what is found where the place is
/// free, under the epoch from before: where `CALLERS` changes meanwhile, that is past, and the next
/// call looks again.
// SAFETY: no other symbol has the name.
#[unsafe(no_mangle)]
#[cold]
#[inline(never)]
extern "C" fn etm_look_up(cgroup: u64, epoch: u64) -> u64 {
    let found = nearest(cgroup);
    let key = found.map_or(NONE, |(key, _)| key);
    let Some(place) = maps::CALLER_CACHE.get_ptr_mut(cgroup as u32 & (CALLER_PLACES - 1)) else {
        return key;
    };
    // SAFETY: `place` is an element of CALLER_CACHE; volatile, since other CPUs write it.
    let owner = unsafe { ptr::read_volatile(&raw const (*place).cgroup) };
    if owner == CACHED_BUSY || !swap(place, owner, CACHED_BUSY) {
        return key;
    }
    // SAFETY: as above, and CACHED_BUSY keeps every other writer away.
    unsafe {
        ptr::write_volatile(&raw mut (*place).epoch, epoch);
        ptr::write_volatile(&raw mut (*place).found, found.is_some() as u32);
        if let Some((_, caller)) = found {
            ptr::write_volatile(&raw mut (*place).pod, caller.pod);
            ptr::write_volatile(&raw mut (*place).namespace, caller.namespace);
            ptr::write_volatile(&raw mut (*place).number, caller.number);
            ptr::write_volatile(&raw mut (*place).ipv4, caller.ipv4);
            ptr::write_volatile(&raw mut (*place).ipv6[0], caller.ipv6[0]);
            ptr::write_volatile(&raw mut (*place).ipv6[1], caller.ipv6[1]);
            ptr::write_volatile(&raw mut (*place).ipv6[2], caller.ipv6[2]);
            ptr::write_volatile(&raw mut (*place).ipv6[3], caller.ipv6[3]);
        }
        ptr::write_volatile(&raw mut (*place).cgroup, cgroup);
    }
    key
}

#[inline(always)]
fn swap(place: *mut CachedCaller, expected: u64, new: u64) -> bool {
    use intrinsics::AtomicOrdering::SeqCst;
    // SAFETY: `place` is an element of CALLER_CACHE, and the field is aligned to 8 bytes.
    let (found, _) = unsafe {
        intrinsics::atomic_cxchg::<u64, { SeqCst }, { SeqCst }>(
            &raw mut (*place).cgroup,
            expected,
            new,
        )
    };
    found == expected
}

/// What `CALLERS` has of the caller whose cgroup this is or is below, with its key.
#[inline(always)]
fn nearest(cgroup: u64) -> Option<(u64, &'static Caller)> {
    // SAFETY: as in `looked_up`.
    let entry = |key| Some((key, unsafe { maps::CALLERS.get(key) }?));
    if cgroup == CACHED_NODE {
        return entry(CALLER_NODE);
    }
    let mut level = 1;
    while level <= CALLER_LEVELS {
        // SAFETY: the helper takes any level, and gives 0 below the caller's own cgroup.
        let cgroup = unsafe { bpf_get_current_ancestor_cgroup_id(level) };
        if cgroup == 0 {
            break;
        }
        if let Some(found) = entry(cgroup) {
            return Some(found);
        }
        level += 1;
    }
    None
}
