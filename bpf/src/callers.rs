//! Who calls, and whether a frontend is for that caller.

use aya_ebpf::{btf_maps::lpm_trie::Key, helpers::generated::bpf_get_current_ancestor_cgroup_id};
use etm_abi::{
    Address, CALLER_LEVELS, CALLER_NODE, Counter, FRONTEND_NODE_ONLY, FRONTEND_SOURCES, SourceKey,
    is_mapped, mapped,
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
    let Some(pod) = find(caller) else {
        count(Counter::CallerUnknown);
        return false;
    };
    let source = if is_mapped(address) { mapped(pod.ipv4) } else { pod.ipv6 };
    let data = SourceKey { service: *address, port, protocol, pad: 0, source };
    maps::SOURCES.get(&Key::new(size_of::<SourceKey>() as u32 * 8, data)).is_some()
}

/// The Pod that calls, or the node; none where it is neither.
#[inline(always)]
pub fn find<F: Family>(caller: &Caller<F>) -> Option<&'static etm_abi::Caller> {
    let mut level = 1;
    while level <= CALLER_LEVELS {
        // SAFETY: the helper takes any level, and gives 0 below the caller's own cgroup.
        let cgroup = unsafe { bpf_get_current_ancestor_cgroup_id(level) };
        if cgroup == 0 {
            break;
        }
        // SAFETY: the value is replaced as a whole, never written in place, and stays readable for
        // as long as the program runs (RCU).
        if let Some(pod) = unsafe { maps::CALLERS.get(cgroup) } {
            return Some(pod);
        }
        level += 1;
    }
    if !is_node(caller) {
        return None;
    }
    // SAFETY: as above.
    unsafe { maps::CALLERS.get(CALLER_NODE) }
}
