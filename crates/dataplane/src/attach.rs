//! Programs onto hooks: made, kept, or replaced without a gap.

use std::{
    fmt, fs, io,
    os::{fd::AsFd as _, unix::fs::MetadataExt as _},
    path::{Path, PathBuf},
};

use aya_obj::generated::bpf_attach_type;
use serde::Serialize;

use crate::{error::AttachError, object::Programs, pin::PinDirectory, sys, tracepoint::Tracepoint};

/// A hook of a cgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the kernel's own names")]
pub enum Hook {
    SockRelease,
    TcpOutcome,
    Getpeername4,
    Getpeername6,
    Recvmsg4,
    Recvmsg6,
    Sendmsg4,
    Sendmsg6,
    Connect4,
    Connect6,
}

impl Hook {
    /// Every hook, in the order of attachment: what reads and forgets a decision stands before the
    /// first decision is made.
    pub const ALL: [Self; 10] = [
        Self::SockRelease,
        Self::TcpOutcome,
        Self::Getpeername4,
        Self::Getpeername6,
        Self::Recvmsg4,
        Self::Recvmsg6,
        Self::Sendmsg4,
        Self::Sendmsg6,
        Self::Connect4,
        Self::Connect6,
    ];

    /// Name of its program and of its pinned link.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.facts().0
    }

    /// Name, attach type, and the first Linux that has it.
    const fn facts(self) -> (&'static str, bpf_attach_type, &'static str) {
        use bpf_attach_type as at;
        match self {
            Self::SockRelease => ("sock_release", at::BPF_CGROUP_INET_SOCK_RELEASE, "5.9"),
            Self::TcpOutcome => ("tcp_outcome", at::BPF_CGROUP_SOCK_OPS, "4.16"),
            Self::Getpeername4 => ("getpeername4", at::BPF_CGROUP_INET4_GETPEERNAME, "5.8"),
            Self::Getpeername6 => ("getpeername6", at::BPF_CGROUP_INET6_GETPEERNAME, "5.8"),
            Self::Recvmsg4 => ("recvmsg4", at::BPF_CGROUP_UDP4_RECVMSG, "5.2"),
            Self::Recvmsg6 => ("recvmsg6", at::BPF_CGROUP_UDP6_RECVMSG, "5.2"),
            Self::Sendmsg4 => ("sendmsg4", at::BPF_CGROUP_UDP4_SENDMSG, "4.18"),
            Self::Sendmsg6 => ("sendmsg6", at::BPF_CGROUP_UDP6_SENDMSG, "4.18"),
            Self::Connect4 => ("connect4", at::BPF_CGROUP_INET4_CONNECT, "4.17"),
            Self::Connect6 => ("connect6", at::BPF_CGROUP_INET6_CONNECT, "4.17"),
        }
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What attaching did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Attached {
    /// Hooks that had the same program already.
    pub kept: u32,
    /// Hooks whose program was replaced atomically.
    pub replaced: u32,
    /// Hooks that had no program of ours.
    pub created: u32,
}

/// Brings every hook of a cgroup to the given programs. With `same_build`, programs that are
/// attached already are known to be equal and stay.
pub(crate) fn attach(
    pins: &PinDirectory,
    cgroup: &Path,
    programs: &Programs,
    same_build: bool,
) -> Result<Attached, AttachError> {
    let mut attached = Attached::default();
    let directory = fs::File::open(cgroup)
        .map_err(|source| AttachError::Pin { path: cgroup.to_owned(), source })?;
    let id = directory
        .metadata()
        .map_err(|source| AttachError::Pin { path: cgroup.to_owned(), source })?
        .ino();
    for hook in Hook::ALL {
        let call = |what| move |source| AttachError::Call { what, hook, source };
        let Some((program, _)) = programs.get(hook) else {
            return Err(call("no program")(io::Error::from(io::ErrorKind::NotFound)));
        };
        let path = pins.link(hook.name());
        if let Ok(link) = sys::object_get(&path) {
            let target =
                sys::link_target(link.as_fd()).map_err(call("could not inspect the link"))?;
            if target.cgroup == id {
                if same_build {
                    attached.kept += 1;
                } else {
                    sys::link_update(link.as_fd(), program)
                        .map_err(call("could not replace the program"))?;
                    attached.replaced += 1;
                }
                continue;
            }
        }
        let link = sys::link_create(program, directory.as_fd(), hook.facts().1)
            .map_err(|source| refused(hook, cgroup, source))?;
        pin_over(&path, |new| sys::object_pin(link.as_fd(), new))
            .map_err(|source| AttachError::Pin { path, source })?;
        attached.created += 1;
    }
    for tracepoint in Tracepoint::ALL {
        tracepoint.attach(pins, programs, same_build)?;
    }
    Ok(attached)
}

/// Where a link is pinned until it takes its place. bpffs allows no dot in a name.
pub(crate) fn half_pinned(link: &Path) -> PathBuf {
    PathBuf::from(format!("{}_new", link.display()))
}

/// Pins under a new name and moves it into place, so that a link to another cgroup that stood there
/// goes only when its successor is at work.
pub(crate) fn pin_over(path: &Path, pin: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let new = half_pinned(path);
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    pin(&new)?;
    fs::rename(&new, path)
}

fn refused(hook: Hook, cgroup: &Path, source: io::Error) -> AttachError {
    match source.raw_os_error() {
        Some(libc::EINVAL | libc::EOPNOTSUPP) => {
            AttachError::NoHook { hook, since: hook.facts().2, source }
        }
        Some(libc::EPERM) => AttachError::Exclusive { hook, cgroup: cgroup.to_owned() },
        _ => AttachError::Call { what: "could not attach the program", hook, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(hook: Hook, errno: i32) -> String {
        let error = io::Error::from_raw_os_error(errno);
        refused(hook, Path::new("/sys/fs/cgroup/pods"), error).to_string()
    }

    #[test]
    fn a_hook_that_the_kernel_lacks_is_named_with_the_linux_that_has_it() {
        for errno in [libc::EINVAL, libc::EOPNOTSUPP] {
            let expected = "this kernel lacks the cgroup hook sock_release, which Linux has since \
                            5.9: run a later kernel";
            assert_eq!(told(Hook::SockRelease, errno), expected);
        }
        assert!(told(Hook::Getpeername6, libc::EINVAL).contains("getpeername6"));
    }

    #[test]
    fn a_hook_that_another_program_holds_is_named_with_the_cgroup() {
        let expected = "hook connect4 of /sys/fs/cgroup/pods is held exclusively by a program that \
                        is not etm's: find it with `bpftool cgroup tree`";
        assert_eq!(told(Hook::Connect4, libc::EPERM), expected);
    }

    #[test]
    fn any_other_failure_names_the_hook() {
        assert!(told(Hook::Connect6, libc::ENOMEM).contains("hook connect6"));
    }
}
