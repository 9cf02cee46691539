//! How long a reply over UDP is waited for.

use etm_abi::{FLOW_REPLIES, FLOW_TIME};

/// Nanoseconds in a millisecond.
const MILLISECOND: u64 = 1_000_000;

/// That a reply is expected from a time on, in nanoseconds of `CLOCK_MONOTONIC`: what
/// [`etm_abi::Flow::phase`] and [`etm_abi::UdpFlow::awaited`] say of it.
#[inline(always)]
#[must_use]
pub const fn awaited(now: u64) -> u32 {
    FLOW_REPLIES | (now / MILLISECOND) as u32 & FLOW_TIME
}

/// Whether a reply that is expected since then is later than so many milliseconds.
#[inline(always)]
#[must_use]
pub const fn is_late(awaited: u32, now: u64, timeout: u32) -> bool {
    let waited = ((now / MILLISECOND) as u32).wrapping_sub(awaited) & FLOW_TIME;
    waited >= timeout
}

#[cfg(test)]
mod tests {
    use super::{MILLISECOND, awaited, is_late};
    use etm_abi::{FLOW_SETTLED, FLOW_TIME};

    #[test]
    fn a_reply_is_late_when_its_time_is_over() {
        // Also where the milliseconds begin anew meanwhile.
        for start in [0, 5_000, u64::from(FLOW_TIME), u64::from(FLOW_TIME) * 7 + 3] {
            let since = awaited(start * MILLISECOND);
            for (waited, late) in [(0, false), (1_999, false), (2_000, true), (90_000_000, true)] {
                let now = (start + waited) * MILLISECOND;
                assert_eq!(is_late(since, now, 2_000), late, "{start} + {waited}");
                assert_eq!(is_late(since | FLOW_SETTLED, now, 2_000), late);
            }
        }
    }
}
