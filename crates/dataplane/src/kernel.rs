//! What this kernel offers, and where.

use std::{
    fs, io,
    net::UdpSocket,
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
};

use aya::{
    programs::ProgramType,
    sys::{BpfHelper, is_helper_supported},
};
use rustix::{
    fs::statfs,
    thread::{CapabilitySet, capabilities},
};

use crate::error::OpenError;

/// `CGROUP2_SUPER_MAGIC` of linux/magic.h.
const CGROUP2_MAGIC: i64 = 0x6367_7270;
/// `BPF_FS_MAGIC` of linux/magic.h.
const BPFFS_MAGIC: i64 = 0xcafe_4a11;

/// The root of the cgroup v2 hierarchy, wherever it is mounted.
///
/// # Errors
///
/// [`OpenError::NoCgroup2`] where it is not mounted.
pub fn cgroup2_root() -> Result<PathBuf, OpenError> {
    let path = "/proc/self/mounts";
    let mounts = fs::read_to_string(path).map_err(OpenError::io("could not read", path))?;
    mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ').skip(1);
            let (point, kind) = (fields.next()?, fields.next()?);
            (kind == "cgroup2").then(|| PathBuf::from(point))
        })
        .next()
        .ok_or(OpenError::NoCgroup2)
}

/// Whether this process may load programs of these kinds. Asked before anything is made: the kernel
/// says no in the midst of it, and in other words each time.
pub(crate) fn may_load() -> bool {
    let needed = CapabilitySet::BPF | CapabilitySet::NET_ADMIN | CapabilitySet::PERFMON;
    capabilities(None).map_or(true, |held| {
        held.effective.contains(CapabilitySet::SYS_ADMIN) || held.effective.contains(needed)
    })
}

pub(crate) fn is_cgroup2(path: &Path) -> bool {
    statfs(path).is_ok_and(|found| found.f_type == CGROUP2_MAGIC)
}

pub(crate) fn is_bpffs(path: &Path) -> bool {
    statfs(path).is_ok_and(|found| found.f_type == BPFFS_MAGIC)
}

/// `SO_NETNS_COOKIE` of asm-generic/socket.h, since Linux 5.14.
const SO_NETNS_COOKIE: libc::c_int = 71;

/// Cookie of the network namespace that this process is in, as `bpf_get_netns_cookie` gives it.
///
/// # Errors
///
/// Where no socket can be made, or the kernel is older than 5.14.
pub fn netns_cookie() -> io::Result<u64> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let mut cookie = 0_u64;
    let mut length = size_of::<u64>() as libc::socklen_t;
    // SAFETY: the option writes at most `length` bytes into `cookie`, both of which outlive the
    // call.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_NETNS_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut length,
        )
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(cookie) }
}

/// Helpers that not every kernel has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Helpers {
    /// `bpf_set_retval`, since 5.18: without it a refused caller sees EPERM.
    pub(crate) set_retval: bool,
    /// `bpf_loop`, since 5.17: without it a table is searched for 64 members at most.
    pub(crate) bpf_loop: bool,
    /// `bpf_skc_to_mptcp_sock`, since 5.19: without it the peer of an MPTCP socket is shown as the
    /// Pod.
    pub(crate) mptcp: bool,
    /// `bpf_get_current_task_btf`, in programs of this kind since 5.18: without it a caller's cgroup
    /// takes longer to find.
    pub(crate) task: bool,
}

impl Helpers {
    pub(crate) fn probe() -> Self {
        Self::probe_or(false)
    }

    /// Takes this answer where the kernel does not let this process ask.
    pub(crate) fn probe_or(unknown: bool) -> Self {
        let has =
            |helper| is_helper_supported(ProgramType::CgroupSockAddr, helper).unwrap_or(unknown);
        Self {
            set_retval: has(BpfHelper::BPF_FUNC_set_retval),
            bpf_loop: has(BpfHelper::BPF_FUNC_loop),
            mptcp: has(BpfHelper::BPF_FUNC_skc_to_mptcp_sock),
            task: has(BpfHelper::BPF_FUNC_get_current_task_btf),
        }
    }
}
