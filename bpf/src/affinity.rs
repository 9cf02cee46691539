//! Clients that stay with a member: `sessionAffinity: ClientIP`.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use etm_abi::{Address, Affinity, AffinityKey, Counter, Target, UdpFlow};
use etm_decide::keep;

use crate::{maps, report::count, tables::Maps};

const SECOND: u64 = 1_000_000_000;
/// A client that connects often is not written each time, but when so long has passed.
const REFRESH: u64 = SECOND / 4;

/// One client of one port of a Service.
pub struct Client {
    key: AffinityKey,
    /// Of the table that the client finds.
    generation: u32,
    now: u64,
}

impl Client {
    #[inline(always)]
    pub fn new(service: u32, generation: u32, client: Address) -> Self {
        // SAFETY: the helper takes nothing.
        let now = unsafe { bpf_ktime_get_ns() };
        Self { key: AffinityKey { service, client }, generation, now }
    }

    /// The member that the client stays with, if it connected at most `seconds` ago and the member
    /// is still usable. What is remembered may be older than the last connection by [`REFRESH`], so
    /// a client may stay by that much longer, and never leaves sooner.
    #[inline(always)]
    pub fn kept(&self, target: Target, seconds: u32) -> Option<u32> {
        // SAFETY: the value is copied at once; a replaced one is as good as the one before it.
        let affinity = *unsafe { maps::AFFINITY.get(self.key) }?;
        let age = self.now.saturating_sub(affinity.time);
        if age >= seconds as u64 * SECOND + REFRESH {
            return None;
        }
        let flow = UdpFlow { backend: affinity.backend, generation: affinity.generation };
        let (flow, _) = keep(&Maps, self.generation, target, flow)?;
        if age >= REFRESH || flow.generation != affinity.generation {
            self.keep(flow.backend);
        }
        Some(flow.backend)
    }

    /// Remembers a member.
    #[inline(always)]
    pub fn keep(&self, backend: u32) {
        let affinity = Affinity { time: self.now, backend, generation: self.generation };
        if maps::AFFINITY.insert(self.key, affinity, 0).is_err() {
            count(Counter::FlowLost);
        }
    }
}
