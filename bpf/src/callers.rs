//! Who calls, and whether a frontend is for that caller.

use core::{intrinsics, ptr};

use aya_ebpf::{
    btf_maps::lpm_trie::Key,
    helpers::{
        bpf_get_current_cgroup_id,
        generated::{bpf_get_current_ancestor_cgroup_id, bpf_get_current_task_btf},
    },
};
use etm_abi::{
    Address, CACHED_BUSY, CACHED_NODE, CALLER_LEVELS, CALLER_NODE, CALLER_PLACES, CachedCaller,
    Counter, FRONTEND_NODE_ONLY, FRONTEND_SOURCES, SourceKey, is_mapped, mapped,
};

use crate::{
    context::{Caller, Family},
    frontends::Frontend,
    maps,
    report::count,
    settings,
};

/// Flags of frontends that are not for every caller.
pub const CONDITIONS: u16 = FRONTEND_NODE_ONLY | FRONTEND_SOURCES;

/// What a frontend is to a caller.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Verdict {
    /// The caller may use it.
    Admitted,
    /// To this caller the address is not the Service's.
    Elsewhere,
    /// The caller is refused.
    Excluded,
}

/// Judges a frontend that has one of [`CONDITIONS`].
#[cold]
#[inline(never)]
pub fn judge<F: Family>(
    caller: &Caller<F>,
    frontend: &Frontend,
    address: &Address,
    port: u16,
    protocol: u8,
) -> Verdict {
    let flags = frontend.target.flags();
    if flags & FRONTEND_NODE_ONLY != 0 && !is_node(caller) {
        return Verdict::Elsewhere;
    }
    if flags & FRONTEND_SOURCES != 0 && !is_source(caller, address, port, protocol) {
        return Verdict::Excluded;
    }
    Verdict::Admitted
}

/// Whether the call is made in the node's own network namespace.
#[inline(always)]
fn is_node<F: Family>(caller: &Caller<F>) -> bool {
    caller.netns() == settings::node_netns()
}

/// Whether the caller's address is among those that a frontend is for.
#[inline(always)]
fn is_source<F: Family>(caller: &Caller<F>, address: &Address, port: u16, protocol: u8) -> bool {
    let Some(source) = find(caller).and_then(|known| known.address(address)) else {
        count(Counter::CallerUnknown);
        return false;
    };
    let data = SourceKey { service: *address, port, protocol, pad: 0, source };
    maps::SOURCES.get(&Key::new(size_of::<SourceKey>() as u32 * 8, data)).is_some()
}

/// A Pod that calls, or the node.
pub struct Known {
    /// IPv4 address in network byte order; 0 where there is none.
    pub ipv4: u32,
    /// IPv6 address; zero where there is none.
    pub ipv6: Address,
    /// Its name as a number; 0 where that is not known.
    pub pod: u64,
    /// Its namespace as a number.
    pub namespace: u64,
    /// Its number in routes; 0 where it has none.
    pub number: u32,
}

impl Known {
    /// Its address of the family of another address; none where it is not known, or all those whose
    /// address is not known would be one client.
    #[inline(always)]
    pub fn address(&self, like: &Address) -> Option<Address> {
        if is_mapped(like) {
            (self.ipv4 != 0).then_some(mapped(self.ipv4))
        } else {
            (self.ipv6 != [0; 4]).then_some(self.ipv6)
        }
    }
}

/// The Pod that calls, or the node; none where it is neither.
#[inline(always)]
pub fn find<F: Family>(caller: &Caller<F>) -> Option<Known> {
    known(caller, etm_cgroup())
}

/// The same without a call, which is a good part of what it takes; the verifier pays for it.
#[inline(always)]
pub fn find_inline<F: Family>(caller: &Caller<F>) -> Option<Known> {
    known(caller, cgroup())
}

#[inline(always)]
fn known<F: Family>(caller: &Caller<F>, cgroup: u64) -> Option<Known> {
    if let Some(known) = cached(cgroup) {
        return Some(known);
    }
    if is_node(caller) { cached(CACHED_NODE) } else { None }
}

/// Global, since to hold the walk against the kernel's types takes the verifier long each time.
// SAFETY: no other symbol has the name.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn etm_cgroup() -> u64 {
    cgroup()
}

/// Id of the caller's cgroup.
///
/// The helper that tells it returns from three functions before it is done, which takes longer than
/// all else that is done for a caller that is known.
#[inline(always)]
fn cgroup() -> u64 {
    let Some([cgroups, cgroup, node, id]) = settings::cgroup_path() else {
        // SAFETY: the helper takes nothing.
        return unsafe { bpf_get_current_cgroup_id() };
    };
    // SAFETY: the kernel's own description of its types says that these pointers lead from a task
    // to its cgroup's id, and the verifier holds each step against it.
    unsafe {
        let task = bpf_get_current_task_btf().cast::<u8>();
        let cgroups = ptr::read_volatile(task.add(cgroups).cast::<*const u8>());
        let cgroup = ptr::read_volatile(cgroups.add(cgroup).cast::<*const u8>());
        let node = ptr::read_volatile(cgroup.add(node).cast::<*const u8>());
        ptr::read_volatile(node.add(id).cast::<u64>())
    }
}

/// What is known of a cgroup: its place in the cache says so, if its owner and epoch are right, and
/// the owner still is when all is read.
#[inline(always)]
fn cached(cgroup: u64) -> Option<Known> {
    let place = maps::CALLER_CACHE.get_ptr_mut(cgroup as u32 & (CALLER_PLACES - 1))?;
    let current = epoch()?;
    // SAFETY: `place` is an element of CALLER_CACHE; volatile, since other CPUs write it.
    let owner = || unsafe { ptr::read_volatile(&raw const (*place).cgroup) };
    // SAFETY: as above.
    if owner() == cgroup && unsafe { ptr::read_volatile(&raw const (*place).epoch) } == current {
        // SAFETY: as above.
        let found = unsafe { ptr::read_volatile(&raw const (*place).found) } != 0;
        let known = read(place);
        if owner() == cgroup {
            return found.then_some(known);
        }
    }
    looked_up(cgroup, current)
}

#[inline(always)]
fn read(place: *const CachedCaller) -> Known {
    // SAFETY: `place` is an element of CALLER_CACHE; volatile, since other CPUs write it.
    unsafe {
        let word = |index: usize| ptr::read_volatile(&raw const (*place).ipv6[index]);
        Known {
            ipv4: ptr::read_volatile(&raw const (*place).ipv4),
            ipv6: [word(0), word(1), word(2), word(3)],
            pod: ptr::read_volatile(&raw const (*place).pod),
            namespace: ptr::read_volatile(&raw const (*place).namespace),
            number: ptr::read_volatile(&raw const (*place).number),
        }
    }
}

#[inline(always)]
fn epoch() -> Option<u64> {
    // SAFETY: an element of an array; volatile, since the agent writes it.
    Some(unsafe { ptr::read_volatile(maps::CALLER_EPOCH.get_ptr(0)?) })
}

/// What `CALLERS` says of a cgroup, which is written down for the next call.
#[cold]
#[inline(never)]
fn looked_up(cgroup: u64, epoch: u64) -> Option<Known> {
    let caller = match etm_look_up(cgroup, epoch) {
        NONE => return None,
        // SAFETY: the value is replaced as a whole, never written in place, and stays readable for
        // as long as the program runs (RCU).
        key => unsafe { maps::CALLERS.get(key) }?,
    };
    Some(Known {
        ipv4: caller.ipv4,
        ipv6: caller.ipv6,
        pod: caller.pod,
        namespace: caller.namespace,
        number: caller.number,
    })
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
fn nearest(cgroup: u64) -> Option<(u64, &'static etm_abi::Caller)> {
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
