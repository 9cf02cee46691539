//! Why a call failed, and at which step.

use std::fmt;
use std::io;

use rustix::io::Errno;

/// A step that failed.
pub(crate) struct Failure {
    step: &'static str,
    cause: io::Error,
}

impl Failure {
    /// For `map_err`: names the step.
    pub(crate) fn at(step: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self { step, cause }
    }

    /// The errno, unless it only says that time ran out: a blocking socket reports its own
    /// timeout as EAGAIN, or as EINPROGRESS in connect, where the network said nothing at all.
    pub(crate) fn errno(&self) -> Option<i32> {
        if self.timed_out() { None } else { self.cause.raw_os_error() }
    }

    fn timed_out(&self) -> bool {
        self.cause.kind() == io::ErrorKind::WouldBlock
            || self.cause.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error())
            || (self.cause.kind() == io::ErrorKind::TimedOut && self.cause.raw_os_error().is_none())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.timed_out() {
            write!(f, "{}: no answer in time", self.step)
        } else {
            write!(f, "{}: {}", self.step, self.cause)
        }
    }
}
