//! `HEALTH`, `BUDGETS`, `OUTCOMES`, `SHUNNED` and `REASONS`: what becomes of connections, and what
//! follows from it.

use crate::pod;

/// Entries of `HEALTH`.
pub const HEALTH_POLICIES: u32 = 1_024;
/// Entry of `HEALTH` of backends that the kernel ejects by no means.
pub const HEALTH_POLICY_NONE: u16 = 0;
/// Largest number of times that an ejection can be counted.
pub const MAX_TIMES: u16 = 1_024;

/// Value of `HEALTH`: when a backend is ejected, and for how long.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HealthPolicy {
    /// Failures in a row that eject; 0 never does.
    pub failures: u32,
    /// Milliseconds that the first ejection lasts; each further one as much longer.
    pub ejection: u32,
    /// Milliseconds that an ejection lasts at most.
    pub max_ejection: u32,
    /// Milliseconds between two connections that are let through on probation.
    pub probation: u32,
    /// Successes in a row that end a probation.
    pub successes: u16,
    /// How often the SYN of a connection is repeated until it counts as failed.
    pub syn_retransmits: u16,
    /// Zero.
    pub pad: u32,
}
pod!(HealthPolicy, 24, 8);

/// Value of `OUTCOMES`, by backend id: what became of the connections that a Service's decision
/// led there. Each counter wraps.
#[repr(C, align(32))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcomes {
    /// Connections established; over UDP, flows that were answered.
    pub established: u32,
    /// Round-trip times of the handshakes, summed, in microseconds. In one word with the number of
    /// them, so that both are counted at once.
    pub rtt: u32,
    /// Refused: by a reset, or a message that there is no way, such as that of a closed UDP port.
    pub refused: u32,
    /// Given up by the kernel, without an answer; over UDP, flows that had none in time.
    pub timed_out: u32,
    /// Reset by the Pod before it had sent a byte.
    pub reset: u32,
    /// SYNs sent once more.
    pub syn_retransmits: u32,
    /// Segments sent once more.
    pub retransmits: u32,
    /// Zero.
    pub reserved: u32,
}
pod!(Outcomes, 32, 32);

/// Key of `SHUNNED`: a caller that alone had failures with a backend, which it is not sent to for a
/// while. The value is until when, in nanoseconds of `CLOCK_MONOTONIC`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShunnedKey {
    /// Cookie of the caller's network namespace.
    pub netns: u64,
    /// Index into `BACKENDS`.
    pub backend: u32,
    /// [`crate::Backend::incarnation`] of the backend.
    pub incarnation: u32,
}
pod!(ShunnedKey, 16, 8);

/// Most backends that a reason is kept of.
pub const MAX_REASONS: u32 = 16_384;
/// Longest reason kept, in bytes.
pub const REASON_LEN: usize = 120;

/// Value of `REASONS`, by backend id: what speaks against a backend. One that is healthy has none.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackendReason {
    /// Since when, in nanoseconds of `CLOCK_MONOTONIC`.
    pub since: u64,
    /// UTF-8, zero-padded, cut at the end where it is longer.
    pub text: [u8; REASON_LEN],
}
pod!(BackendReason, 128, 8);

/// What a failure was.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Failure {
    /// [`Outcomes::refused`].
    Refused = 0,
    /// [`Outcomes::timed_out`], or on the way to it: its SYN was repeated too often.
    TimedOut = 1,
    /// [`Outcomes::reset`].
    Reset = 2,
}

/// What became of a backend: [`Ejection::what`].
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Happened {
    /// It is out until [`Ejection::until`].
    Ejected = 0,
    /// Its Service has as many out as it may.
    Spared = 1,
    /// One caller is sent elsewhere until then.
    Shunned = 2,
    /// A connection on probation failed: out until then.
    EjectedAgain = 3,
    /// It is back.
    Returned = 4,
}

impl Happened {
    /// Every one, by number.
    pub const ALL: [Self; 5] =
        [Self::Ejected, Self::Spared, Self::Shunned, Self::EjectedAgain, Self::Returned];
}

/// Record of the ring buffer `EJECTIONS`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ejection {
    /// Nanoseconds of `CLOCK_MONOTONIC`.
    pub time: u64,
    /// Until when, by the same clock; 0 where nothing ends.
    pub until: u64,
    /// Cookie of the network namespace of the caller that had the last failure.
    pub netns: u64,
    /// Index into `BACKENDS`.
    pub backend: u32,
    /// [`crate::Backend::incarnation`] of the backend.
    pub incarnation: u32,
    /// A [`Happened`].
    pub what: u32,
    /// The last failure, a [`Failure`].
    pub failure: u32,
    /// Failures in a row.
    pub failures: u32,
    /// [`crate::Backend::others`].
    pub others: u32,
}
pod!(Ejection, 48, 8);
