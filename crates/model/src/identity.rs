//! Names as numbers, the same on every node and after every restart.

use twox_hash::XxHash3_64;

use crate::plan::Member;

/// A hash of a name: XXH3, 64 bits, seed 0, whose specification does not change
/// (<https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md>).
#[must_use]
pub fn hash(name: &str) -> u64 {
    XxHash3_64::oneshot(name.as_bytes())
}

/// What a member is known by to consistent hashing: its Pod's name, so that a Pod that comes back
/// under its name gets its callers back, whatever its address is; the address where there is no
/// Pod. Not its port, so that a caller finds the same Pod behind each port of a Service.
#[must_use]
pub fn identity(member: &Member) -> u64 {
    match &member.pod {
        Some(pod) => hash(&pod.to_string()),
        None => hash(&member.backend.ip.to_string()),
    }
}
