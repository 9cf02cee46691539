//! `AFFINITY`: which member a client stays with.

use crate::{Address, pod};

/// Key of `AFFINITY`: one client of one port of a Service.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AffinityKey {
    /// Key into `SERVICE_NAMES`.
    pub service: u32,
    /// The client's address; IPv4 in its mapped form.
    pub client: Address,
}
pod!(AffinityKey, 20, 4);

/// Value of `AFFINITY`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Affinity {
    /// When the client last made a connection: nanoseconds of `CLOCK_MONOTONIC`.
    pub time: u64,
    /// Index into `BACKENDS`.
    pub backend: u32,
    /// [`crate::Owner::generation`] at which the backend was last seen among the members.
    pub generation: u32,
}
pod!(Affinity, 16, 8);
