//! Who calls, and whether a frontend is for that caller.

use core::ptr;

use aya_ebpf::{
    btf_maps::lpm_trie::Key,
    helpers::{bpf_get_current_cgroup_id, generated::bpf_get_current_task_btf},
};
use etm_abi::{
    Address, CACHED_NODE, Counter, FRONTEND_NODE_ONLY, FRONTEND_SOURCES, SourceKey, is_mapped,
    mapped,
};

use crate::{
    caller_cache::cached,
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
    let Some(source) = find(caller, OwnAddress { like: address }).flatten() else {
        count(Counter::CallerUnknown);
        return false;
    };
    let data = SourceKey { service: *address, port, protocol, pad: 0, source };
    maps::SOURCES.get(&Key::new(size_of::<SourceKey>() as u32 * 8, data)).is_some()
}

/// What is known of a Pod that calls, or of the node.
pub trait Record: Copy {
    /// IPv4 address in network byte order; 0 where there is none.
    fn ipv4(self) -> u32;

    /// IPv6 address; zero where there is none.
    fn ipv6(self) -> Address;

    /// Its name as a number; 0 where that is not known.
    fn pod(self) -> u64;

    /// Its namespace as a number.
    fn namespace(self) -> u64;

    /// Its number in routes; 0 where it has none.
    fn number(self) -> u32;
}

/// What a decision asks of a caller: no more of the record is read than that takes.
pub trait Question: Copy {
    type Answer;

    fn ask(self, record: impl Record) -> Self::Answer;
}

/// Its address of the family of another address; none where it is not known, or all those whose
/// address is not known would be one client.
#[derive(Clone, Copy)]
pub struct OwnAddress<'a> {
    pub like: &'a Address,
}

impl Question for OwnAddress<'_> {
    type Answer = Option<Address>;

    #[inline(always)]
    fn ask(self, record: impl Record) -> Option<Address> {
        if is_mapped(self.like) {
            let ipv4 = record.ipv4();
            (ipv4 != 0).then_some(mapped(ipv4))
        } else {
            let ipv6 = record.ipv6();
            (ipv6 != [0; 4]).then_some(ipv6)
        }
    }
}

/// Its number in routes.
#[derive(Clone, Copy)]
pub struct Number;

impl Question for Number {
    type Answer = u32;

    #[inline(always)]
    fn ask(self, record: impl Record) -> u32 {
        record.number()
    }
}

/// What the Pod that calls says to a question, or the node; none where the caller is neither.
#[inline(always)]
pub fn find<F: Family, Q: Question>(caller: &Caller<F>, question: Q) -> Option<Q::Answer> {
    known(caller, etm_cgroup(), question)
}

/// The same without a call, which is a good part of what it takes; the verifier pays for it.
#[inline(always)]
pub fn find_inline<F: Family, Q: Question>(caller: &Caller<F>, question: Q) -> Option<Q::Answer> {
    known(caller, cgroup(), question)
}

#[inline(always)]
fn known<F: Family, Q: Question>(
    caller: &Caller<F>,
    cgroup: u64,
    question: Q,
) -> Option<Q::Answer> {
    if let Some(answer) = cached(cgroup, question) {
        return Some(answer);
    }
    if is_node(caller) { cached(CACHED_NODE, question) } else { None }
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
pub fn cgroup() -> u64 {
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
