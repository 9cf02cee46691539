//! Clients that stay with a member: `sessionAffinity: ClientIP`.

use etm_abi::{Affinity, Class, UdpFlow};

use crate::{Tables, keep};

const SECOND: u64 = 1_000_000_000;
/// What is remembered of a client that connects often is not written each time, but when so long
/// has passed, in nanoseconds. So a client may stay by that much longer, and never leaves sooner.
const REFRESH: u64 = SECOND / 4;

/// How long ago a client last made a connection, as far as was written, in nanoseconds.
#[inline(always)]
#[must_use]
pub const fn age(affinity: &Affinity, now: u64) -> u64 {
    now.saturating_sub(affinity.time)
}

/// Whether a client's member is forgotten, where it stays for so many seconds.
#[inline(always)]
#[must_use]
pub const fn is_expired(affinity: &Affinity, now: u64, seconds: u32) -> bool {
    age(affinity, now) >= seconds as u64 * SECOND + REFRESH
}

/// The member that a client stays with, if it is still a usable one, and whether that is to be
/// written down anew. `generation` must have been read before `class`, as for [`keep`].
#[inline(always)]
#[must_use]
pub fn stays<T: Tables>(
    tables: &T,
    generation: u32,
    class: Class,
    affinity: &Affinity,
    now: u64,
) -> Option<(u32, bool)> {
    let flow = UdpFlow {
        backend: affinity.backend,
        generation: affinity.generation,
        ..UdpFlow::default()
    };
    let (flow, _) = keep(tables, generation, class, flow)?;
    let renew = age(affinity, now) >= REFRESH || flow.generation != affinity.generation;
    Some((flow.backend, renew))
}
