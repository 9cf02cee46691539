//! Clients that stay with a member: `sessionAffinity: ClientIP`.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use etm_abi::{Address, Affinity, AffinityKey, Counter, Target, UdpFlow};
use etm_decide::keep;

use crate::{maps, report::count, tables::Maps};

const SECOND: u64 = 1_000_000_000;

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

    /// The member that the client stays with, if it connected less than `seconds` ago and the
    /// member is still usable.
    #[inline(always)]
    pub fn kept(&self, target: Target, seconds: u32) -> Option<u32> {
        // SAFETY: the value is copied at once; a replaced one is as good as the one before it.
        let affinity = *unsafe { maps::AFFINITY.get(self.key) }?;
        let age = self.now.saturating_sub(affinity.time);
        if age >= seconds as u64 * SECOND {
            return None;
        }
        let flow = UdpFlow { backend: affinity.backend, generation: affinity.generation };
        let (flow, _) = keep(&Maps, self.generation, target, flow)?;
        // A timeout is of whole seconds, and a client that connects often need not be written
        // each time.
        if age >= SECOND / 4 || flow.generation != affinity.generation {
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
