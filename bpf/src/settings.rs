//! Constants that the loader sets before the verifier sees the programs, so that what a kernel or
//! a configuration does not need is removed as dead code.

use aya_ebpf::Global;

/// Cells of `SERVICES4` and of `SERVICES6`, less one.
#[unsafe(no_mangle)]
static SERVICE_MASK: Global<u32> = Global::new(0);

/// Cookie of the network namespace whose loopback serves node ports; 0 serves none.
#[unsafe(no_mangle)]
static NODE_NETNS: Global<u64> = Global::new(0);

/// Whether ports that a Service does not have are refused.
#[unsafe(no_mangle)]
static REFUSE_UNKNOWN_PORT: Global<u8> = Global::new(0);

/// Whether the kernel has `bpf_set_retval` (5.18).
#[unsafe(no_mangle)]
static HAS_SET_RETVAL: Global<u8> = Global::new(1);

/// Whether the kernel has `bpf_loop` (5.17).
#[unsafe(no_mangle)]
static HAS_LOOP: Global<u8> = Global::new(1);

/// Whether the kernel has `bpf_skc_to_mptcp_sock` (5.19, with CONFIG_MPTCP).
#[unsafe(no_mangle)]
static HAS_MPTCP: Global<u8> = Global::new(1);

/// Where a task leads to its cgroup's id: offsets in `task_struct`, `css_set`, `cgroup` and
/// `kernfs_node`, 16 bits each from the lowest on; 0 where they are not known, or the kernel does
/// not let these programs ask for the task.
#[unsafe(no_mangle)]
static CGROUP_PATH: Global<u64> = Global::new(0);

/// Where a socket says whether anything was read from it: offsets of `skc_flags`, `sk_stamp` and
/// `sk_backlog`, packed like the path above; 0 where they are not known.
#[unsafe(no_mangle)]
static SOCKET_READ: Global<u64> = Global::new(0);

/// Where a socket says what it is told of: offsets of `skc_cookie`, `skc_net`, of the
/// `net_cookie` of that, and of `sk_err`; 0 where they are not known.
#[unsafe(no_mangle)]
static SOCKET_ERROR: Global<u64> = Global::new(0);

/// Where it is said what a TCP socket has sent: offsets of `write_seq`, of `cb` in a `sk_buff`, and of
/// `tcp_gso_segs` in that, packed like the path above; 0 where they are not known.
#[unsafe(no_mangle)]
static TCP_SENT: Global<u64> = Global::new(0);

#[inline(always)]
pub fn service_mask() -> u32 {
    SERVICE_MASK.load()
}

#[inline(always)]
pub fn node_netns() -> u64 {
    NODE_NETNS.load()
}

#[inline(always)]
pub fn refuse_unknown_port() -> bool {
    REFUSE_UNKNOWN_PORT.load() != 0
}

#[inline(always)]
pub fn has_set_retval() -> bool {
    HAS_SET_RETVAL.load() != 0
}

#[inline(always)]
pub fn has_loop() -> bool {
    HAS_LOOP.load() != 0
}

#[inline(always)]
pub fn has_mptcp() -> bool {
    HAS_MPTCP.load() != 0
}

#[inline(always)]
pub fn cgroup_path() -> Option<[usize; 4]> {
    unpacked(CGROUP_PATH.load())
}

#[inline(always)]
pub fn socket_read() -> Option<[usize; 4]> {
    unpacked(SOCKET_READ.load())
}

#[inline(always)]
pub fn socket_error() -> Option<[usize; 4]> {
    unpacked(SOCKET_ERROR.load())
}

#[inline(always)]
pub fn tcp_sent() -> Option<[usize; 4]> {
    unpacked(TCP_SENT.load())
}

#[inline(always)]
fn unpacked(offsets: u64) -> Option<[usize; 4]> {
    let offset = |index: u32| (offsets >> (16 * index)) as u16 as usize;
    (offsets != 0).then(|| [offset(0), offset(1), offset(2), offset(3)])
}
