//! Programs onto tracepoints, which see the sockets of the whole node.

use std::{ffi::CStr, os::fd::AsFd as _};

use crate::{attach::pin_over, error::AttachError, object::Programs, pin::PinDirectory, sys};

/// A tracepoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tracepoint {
    SocketError,
    TcpRetransmit,
}

impl Tracepoint {
    pub(crate) const ALL: [Self; 2] = [Self::SocketError, Self::TcpRetransmit];

    /// Name of its program and of its pinned link.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::SocketError => "socket_error",
            Self::TcpRetransmit => "tcp_retransmit",
        }
    }

    const fn kernel_name(self) -> &'static CStr {
        match self {
            // Since Linux 5.14.
            Self::SocketError => c"inet_sk_error_report",
            // Since Linux 4.16.
            Self::TcpRetransmit => c"tcp_retransmit_skb",
        }
    }

    /// Attaches its program, beside one of another build until that goes. Where the kernel has no such
    /// tracepoint, what it would tell of counts for nothing.
    pub(crate) fn attach(
        self,
        pins: &PinDirectory,
        programs: &Programs,
        same_build: bool,
    ) -> Result<(), AttachError> {
        let path = pins.link(self.name());
        if same_build && path.exists() {
            return Ok(());
        }
        let Some(program) = programs.at(self) else { return Ok(()) };
        let link = match sys::tracepoint_open(program, self.kernel_name()) {
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(()),
            opened => opened,
        };
        link.and_then(|link| pin_over(&path, |new| sys::object_pin(link.as_fd(), new)))
            .map_err(|source| AttachError::Pin { path, source })
    }
}
