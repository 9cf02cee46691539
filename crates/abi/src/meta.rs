//! `META`: what a pin directory holds.

use crate::pod;

/// The only value of `META`; readable by every version, so its first field never moves.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// [`crate::ABI_VERSION`] of the agent that made the maps.
    pub abi_version: u32,
    /// Highest [`crate::Frontend::generation`] given out, so that none is given out twice.
    pub generation: u32,
    /// Digest of the kernel object and its settings: equal digests mean equal programs.
    pub build: u64,
}
pod!(Meta, 16, 8);
