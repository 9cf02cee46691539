//! `BACKENDS`: the Pods' addresses, one record for each address, port and
//! protocol, however many Services share it.

use crate::{Address, pod};

/// State of a record that no table may name.
pub const BACKEND_FREE: u8 = 0;
/// State of a record that new connections may be sent to.
pub const BACKEND_AVAILABLE: u8 = 1;

/// State of a record that the kernel's programs have taken out of service, or the agent by what
/// they saw: until [`Backend::until`], and after that on probation.
pub const BACKEND_EJECTED: u8 = 2;
/// State of a record that the agent has taken out of service, until it says otherwise.
pub const BACKEND_OUT: u8 = 3;

/// Value of `BACKENDS`, a cache line of its own. What stands before `budget` is the agent's, but
/// for the state; of the rest each field says whose it is.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backend {
    /// The Pod's address; IPv4 in its mapped form.
    pub address: Address,
    /// The Pod's port, network byte order.
    pub port: u16,
    /// IP protocol number.
    pub protocol: u8,
    /// One of `BACKEND_*`.
    pub state: u8,
    /// Another number each time that the record is given to a Pod; never 0 in one that is. Tells
    /// a socket that closes whether the count of connections has it.
    pub incarnation: u32,
    /// Index into `BUDGETS`: the Service out of whose share the kernel may eject it. The agent's.
    pub budget: u32,
    /// Index into `HEALTH`. The agent's.
    pub policy: u16,
    /// How often it was ejected lately: the kernel counts up, the agent down.
    pub times: u16,
    /// Failures since the last success. The kernel's.
    pub failures: u32,
    /// A hash of the caller that had the first of them. The kernel's.
    pub caller: u32,
    /// What other callers had of them, twice where the failure was an answer. The kernel's.
    pub others: u32,
    /// Successes in a row on probation. The kernel's.
    pub successes: u16,
    /// 1 where `SHUNNED` has, or had, an entry for it. The kernel's.
    pub shunned: u8,
    /// How many more connections are to be looked at closely. The kernel's.
    pub watched: u8,
    /// With [`BACKEND_EJECTED`]: when the next connection is let through, in nanoseconds of
    /// `CLOCK_MONOTONIC`; 0 for the moment in which that is not written yet.
    pub until: u64,
    /// 1 where the last failure was a reset: then a connection has succeeded when it ends well, not
    /// when it is established. The kernel's.
    pub resets: u32,
    /// Milliseconds after which a UDP flow without a reply has failed; 0 where none is expected. The
    /// agent's.
    pub reply_timeout: u32,
}
pod!(Backend, 64, 64);

impl Backend {
    /// The record of no Pod.
    pub const NONE: Self = Self {
        address: [0; 4],
        port: 0,
        protocol: 0,
        state: BACKEND_FREE,
        incarnation: 0,
        budget: 0,
        policy: 0,
        times: 0,
        failures: 0,
        caller: 0,
        others: 0,
        successes: 0,
        shunned: 0,
        watched: 0,
        until: 0,
        resets: 0,
        reply_timeout: 0,
    };

    /// The word of a record that changes with its state: port, protocol, state and incarnation.
    #[inline(always)]
    #[must_use]
    pub const fn word(&self) -> u64 {
        self.port as u64
            | (self.protocol as u64) << 16
            | (self.state as u64) << 24
            | (self.incarnation as u64) << 32
    }
}

/// [`Backend::word`] with another state.
#[inline(always)]
#[must_use]
pub const fn with_state(word: u64, state: u8) -> u64 {
    word & !(0xff << 24) | (state as u64) << 24
}

/// The state of a [`Backend::word`].
#[inline(always)]
#[must_use]
pub const fn state_of(word: u64) -> u8 {
    (word >> 24) as u8
}
